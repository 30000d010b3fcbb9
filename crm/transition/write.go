package transition

import "io"

// WriteXML writes the graph as the XML transition graph that Pacemaker's tools exchange.
func WriteXML(w io.Writer, g *Graph) error { return nil }

// WriteDOT writes the graph's drawing for graphviz.
func WriteDOT(w io.Writer, d Drawing) error { return nil }

// WriteJSON writes the graph as JSON (stable API).
func WriteJSON(w io.Writer, g *Graph) error { return nil }

// ParseXML reads a transition graph. The drawing is empty: the XML form does not carry it.
func ParseXML(src []byte) (*Graph, error) { return nil, nil }
