"""Roads from PostGIS: the only place that speaks SQL."""
