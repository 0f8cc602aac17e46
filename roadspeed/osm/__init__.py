"""Roads of OpenStreetMap: read from an extract, written with ids, and matched to positions.

`osm_roads` splits ways into links; `tiles` has Valhalla make its graph of the same extract;
`links` finds a link for each edge of that graph; `matcher` matches positions by Valhalla's Meili.
Only `extract` imports osmium, only `valhalla` Valhalla; both load when they are used.
"""
