package fencing

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
)

// Level is one topology level: all of its devices must succeed.
type Level struct {
	Index   int // 1 to 9; 0 without topology
	Devices []Device
}

// Levels are the levels for a target in the order in which they are tried, and
// whether a topology says so. Without topology there is none: any device that
// can fence the target will do. Devices a level names but the CIB lacks make
// that level useless, and it is left out.
func Levels(c *cib.CIB, target string) (levels []Level, topology bool) {
	devices := map[string]Device{}
	for _, d := range Devices(c) {
		devices[d.ID] = d
	}
	section := c.Configuration().Child("fencing-topology")
	for _, rank := range []func(*cib.Element) bool{
		func(e *cib.Element) bool { return e.Get("target") == target },
		func(e *cib.Element) bool { return matches(e.Get("target-pattern"), target) },
		func(e *cib.Element) bool {
			return e.Get("target-attribute") != "" && nodeAttribute(c, target, e.Get("target-attribute")) == e.Get("target-value")
		},
	} {
		for e := range section.Each("fencing-level") {
			if !rank(e) {
				continue
			}
			topology = true
			l := Level{}
			l.Index, _ = strconv.Atoi(e.Get("index"))
			complete := true
			for _, id := range strings.Split(e.Get("devices"), ",") {
				d, ok := devices[strings.TrimSpace(id)]
				complete = complete && ok
				l.Devices = append(l.Devices, d)
			}
			if complete {
				levels = append(levels, l)
			}
		}
		if topology {
			break
		}
	}
	slices.SortStableFunc(levels, func(a, b Level) int { return cmp.Compare(a.Index, b.Index) })
	return levels, topology
}

func matches(pattern, target string) bool {
	if pattern == "" {
		return false
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	return err == nil && re.MatchString(target)
}

func nodeAttribute(c *cib.CIB, node, name string) string {
	for n := range c.Section("nodes").Each("node") {
		if n.Get("uname") == node {
			return values(n, "instance_attributes")[name]
		}
	}
	return ""
}
