"""Learning from outcomes: synthesise questions, collect answers, fit, compare, promote."""
