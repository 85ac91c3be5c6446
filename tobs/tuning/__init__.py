"""The controller: asks Optuna for knobs, runs trials, and measures its winner again on work it has not seen."""
