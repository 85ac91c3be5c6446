"""Plugins that break the contract, one way each."""
