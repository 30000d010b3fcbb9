package store

// rules are the gate's rules that a test may switch off, to see the hole each one closes.
type rules struct{}
