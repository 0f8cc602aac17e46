"""Maps of roads: pictures to print. Whoever draws imports the module; nothing loads here."""
