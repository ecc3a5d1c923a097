"""What the record promises, on real files."""
