package transition

import (
	"bufio"
	"io"
)

// WriteDOT writes a drawing for graphviz (crm_simulate -D): first the actions, then the orderings.
func WriteDOT(w io.Writer, d Drawing) error {
	b := bufio.NewWriter(w)
	b.WriteString(" digraph \"g\" {\n")
	for _, a := range d.Actions {
		style, color, font := "dashed", "red", "black"
		switch {
		case a.Executed:
			style, color = "bold", "green"
		case a.Optional:
			color = "blue"
		}
		if a.Pseudo {
			font = "orange"
		}
		b.WriteString(`"` + a.Name + `" [ style=` + style + ` color="` + color + `" fontcolor="` + font + "\"]\n")
	}
	for _, e := range d.Edges {
		style := "dashed"
		if e.Solid {
			style = "bold"
		}
		b.WriteString(`"` + e.From + `" -> "` + e.To + `" [ style = ` + style + "]\n")
	}
	b.WriteString("}\n")
	return b.Flush()
}
