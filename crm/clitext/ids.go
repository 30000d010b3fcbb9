package clitext

import (
	"strconv"
	"strings"

	"systole/crm/cib"
)

// isReference tells the tags whose id is no name of its own: it refers to
// something, or, for nodes, lives in a space of its own (a resource may be
// called as a node's id is).
func isReference(tag string) bool {
	switch tag {
	case "resource_ref", "obj_ref", "role", "node":
		return true
	}
	return false
}

// idPool counts the ids of a configuration.
type idPool map[string]int

func (p idPool) add(e *cib.Element, by int) {
	for x := range cib.All(e) {
		if id := x.ID(); id != "" && !isReference(x.Name()) {
			if p[id] += by; p[id] <= 0 {
				delete(p, id)
			}
		}
	}
}

// namer gives out the ids of one object that is being built. Ids of the object
// it replaces count as free.
type namer struct {
	pool  idPool
	freed idPool          // ids of the replaced object
	local map[string]bool // given out for this object
	auto  map[string]bool // those made here, not written by the user
}

func newNamer(pool idPool, replaced *cib.Element) *namer {
	n := &namer{pool: pool, freed: idPool{}, local: map[string]bool{}, auto: map[string]bool{}}
	if replaced != nil {
		n.freed.add(replaced, 1)
	}
	return n
}

func (n *namer) used(id string) bool { return n.local[id] || n.pool[id] > n.freed[id] }

// fresh makes an id of a base: itself, or with -0, -1… when it is taken.
func (n *namer) fresh(base string) string {
	base = ncName(base)
	id := base
	for i := 0; n.used(id); i++ {
		id = base + "-" + strconv.Itoa(i)
	}
	n.local[id], n.auto[id] = true, true
	return id
}

// freshNumber makes an id of a prefix and the first free number from start.
func (n *namer) freshNumber(prefix string, start int) string {
	prefix = ncName(prefix)
	i := start
	for n.used(prefix + strconv.Itoa(i)) {
		i++
	}
	id := prefix + strconv.Itoa(i)
	n.local[id], n.auto[id] = true, true
	return id
}

// claim takes an id the user wrote.
func (n *namer) claim(w word, id string) error {
	if id == "" {
		return errorAt(w, "the id is empty; write a name")
	}
	if n.used(id) {
		return errorAt(w, "the id %q is already in use; choose another, or change the existing object", id)
	}
	n.local[id] = true
	return nil
}

// ncName replaces what an XML id may not have by dots, as Pacemaker does. crmsh
// leaves # alone, and so do we: no reader minds, and the ids agree.
func ncName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case needsQuote(r) && r != '#' && r < 0x80:
			return '.'
		}
		return r
	}, s)
}
