module espalier.dev/test/rotation/handshakes

go 1.26.0
