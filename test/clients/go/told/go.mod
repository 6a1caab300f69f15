module conduit.test/told

go 1.24
