DROP TABLE bus_stops;
