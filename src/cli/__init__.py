"""The console command, one module per subcommand. It parses options, prints, and leaves the work to the parts."""
