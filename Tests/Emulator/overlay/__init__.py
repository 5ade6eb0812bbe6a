"""Corrections laid over bqemulator, so that it answers as BigQuery does where this service depends on it."""
