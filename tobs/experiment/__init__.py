"""Experiments: trials in fresh processes, arms compared in randomized blocks, and what was measured, kept."""
