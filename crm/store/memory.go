package store

// Memory is the disk of a simulated node.
type Memory struct{}
