package node

// rules are rules of the node that a simulation may switch off, to see that it would
// notice. The zero value keeps them; nothing outside tests sets one.
type rules struct {
	endless bool // an order may be acted on however late it comes
}
