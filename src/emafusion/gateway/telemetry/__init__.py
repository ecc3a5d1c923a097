"""What operators see of the gateway: metrics, traces, logs. Nothing heavy is imported here."""
