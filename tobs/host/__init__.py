"""Settings, assembly and the run: what stands between the command line and the engine."""
