package template

import (
	"errors"
	"fmt"
	"strings"
)

// settings are the values of a site's variables, one set after the other.
type settings struct {
	values map[string]value
	taken  map[string]string // by address or node: the variable that has it
	nodes  []string
}

func newSettings() *settings {
	return &settings{values: map[string]value{}, taken: map[string]string{}}
}

// expand puts the values set so far into a default.
func (s *settings) expand(def string) string {
	for name, v := range s.values {
		def = strings.ReplaceAll(def, "{"+name+"}", v.text)
	}
	return def
}

// set reads a value and holds it against those before it. An error changes nothing.
func (s *settings) set(v Variable, text string) error {
	val, err := v.kind.parse(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("%s: %w", v.Name, err)
	}
	var names []string
	wrong := s.misplaced(v, val)
	for _, n := range val.nodes {
		names = append(names, n[0])
	}
	claimed := append([]string(nil), names...)
	for _, a := range val.addresses {
		claimed = append(claimed, a.String())
	}
	mine := map[string]bool{}
	for _, c := range claimed {
		if by := s.taken[c]; by != "" {
			wrong = append(wrong, fmt.Errorf("%s: %s is used by %s: every machine and address has one place", v.Name, c, by))
		} else if mine[c] {
			wrong = append(wrong, fmt.Errorf("%s: %s is there twice", v.Name, c))
		}
		mine[c] = true
	}
	if wrong != nil {
		return errors.Join(wrong...)
	}
	for c := range mine {
		s.taken[c] = v.Name
	}
	s.nodes = append(s.nodes, names...)
	s.values[v.Name] = val
	return nil
}

// misplaced finds addresses that are not in the network they must be in. A
// network whose own value was refused says nothing.
func (s *settings) misplaced(v Variable, val value) (wrong []error) {
	network := s.values[v.in].network
	if v.in == "" || !network.IsValid() {
		return nil
	}
	each := 1
	if len(val.nodes) > 0 {
		each = len(val.addresses) / len(val.nodes)
	}
	for i := 0; i < len(val.addresses); i += each {
		switch a := val.addresses[i]; {
		case !network.Contains(a):
			wrong = append(wrong, fmt.Errorf("%s: %s is not in %s (%s)", v.Name, a, network, v.in))
		case a == network.Addr() || !network.Contains(a.Next()):
			wrong = append(wrong, fmt.Errorf("%s: %s is the first or last address of %s, which no machine can have", v.Name, a, network))
		}
	}
	return wrong
}
