package mysql

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// GTID names one transaction of MariaDB: the domain, the server that wrote it
// and its number (MariaDB manual, "Global Transaction ID").
type GTID struct {
	Domain, Server uint32
	Seq            uint64
}

// String is domain-server-number.
func (g GTID) String() string { return fmt.Sprintf("%d-%d-%d", g.Domain, g.Server, g.Seq) }

// Position is how far a server's history reaches: the last transaction of each
// domain. With gtid_strict_mode, numbers only rise, so it stands for all before.
type Position map[uint32]GTID

// maxDomains bounds a position; a cluster of this agent uses one domain.
const maxDomains = 1024

// ParsePosition reads MariaDB's list, "0-1-42,1-1-7"; "" is the beginning.
func ParsePosition(s string) (Position, error) {
	p := Position{}
	if s = strings.TrimSpace(s); s == "" {
		return p, nil
	}
	for item := range strings.SplitSeq(s, ",") {
		g, err := parseGTID(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("position %q: %w", s, err)
		}
		if _, twice := p[g.Domain]; twice || len(p) >= maxDomains {
			return nil, fmt.Errorf("position %q: domain %d is there twice, or there are too many", s, g.Domain)
		}
		p[g.Domain] = g
	}
	return p, nil
}

func parseGTID(s string) (GTID, error) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return GTID{}, fmt.Errorf("%q is not domain-server-number", s)
	}
	domain, err1 := strconv.ParseUint(parts[0], 10, 32)
	server, err2 := strconv.ParseUint(parts[1], 10, 32)
	seq, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return GTID{}, fmt.Errorf("%q is not domain-server-number", s)
	}
	return GTID{uint32(domain), uint32(server), seq}, nil
}

// String is MariaDB's list, domains in order.
func (p Position) String() string {
	var items []string
	for _, d := range slices.Sorted(maps.Keys(p)) {
		items = append(items, p[d].String())
	}
	return strings.Join(items, ",")
}

// Covers tells whether a history that reaches p holds everything one that
// reaches q holds, if one of them is a part of the other. Two that end with the
// same number from different servers are no part of each other.
func (p Position) Covers(q Position) bool {
	for d, g := range q {
		have, ok := p[d]
		if !ok || have.Seq < g.Seq || (have.Seq == g.Seq && have.Server != g.Server) {
			return false
		}
	}
	return true
}

// Union is the further of both in each domain.
func (p Position) Union(q Position) Position {
	u := maps.Clone(p)
	if u == nil {
		u = Position{}
	}
	for d, g := range q {
		if g.Seq > u[d].Seq {
			u[d] = g
		}
	}
	return u
}
