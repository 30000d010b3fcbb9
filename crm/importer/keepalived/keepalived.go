// Package keepalived imports keepalived.conf (2.2): VRRP instances become
// groups of addresses that prefer the nodes they came from, virtual servers
// become the IPVS director in the group that holds their address, checkers
// become health checks.
//
// Reading has three steps, each a function: lines (comments, conditions,
// definitions, include files), then the tree of blocks, then its translation,
// which is a table of keywords for each kind of block. A keyword that is in no
// table is reported as unknown, with the nearest known one.
package keepalived

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"systole/crm/clitext"
	"systole/crm/importer"
)

// Source is one machine's keepalived.conf.
type Source struct {
	File importer.File
	// Node is the cluster node the file is from; "" is unknown.
	Node string
	// Open gives the files that a pattern of an include line names; nil gives none.
	Open func(pattern string) ([]importer.File, error)
}

// Import translates the files of the directors. The first says what there is;
// the others say which node prefers what, and where they differ in anything
// else the report says so. At least one source is needed.
func Import(sources ...Source) importer.Result {
	report := &importer.Report{}
	var sites []*site
	var errs []error
	for _, src := range sources {
		s, err := read(src, report)
		sites = append(sites, s)
		errs = append(errs, err)
	}
	for _, other := range sites[1:] {
		sites[0].compare(other)
	}
	if len(sites) == 1 {
		for _, i := range sites[0].instances {
			report.Changed(i.at, "every node of the cluster may become active; with the files of all directors only those may")
		}
	}
	r := importer.Result{Report: report, Err: errors.Join(errs...)}
	r.Config = assemble(sites)
	report.Settle()
	return r
}

// read makes a site of a file.
func read(src Source, report *importer.Report) (*site, error) {
	id, _, _ := strings.Cut(src.Node, ".")
	p := &preprocessor{configID: id, open: src.Open, report: report, params: map[string]string{}}
	p.file(src.File)
	statements, err := tree(p.lines, report)
	t := &translator{report: report, site: &site{node: src.Node, report: report}, statements: statements}
	t.collect(statements)
	t.each(statements, root)
	return t.site, err
}

// translator walks the tree of one source and fills its site.
type translator struct {
	report     *importer.Report
	site       *site
	statements []*statement
	addresses  map[string][]*statement // virtual_server_group by name
	files      map[string]trackFile    // track_file by name
	weights    map[string]int          // of vrrp_script by name
}

// handler does what a keyword says.
type handler func(t *translator, s *statement)

// keywords are what a kind of block knows.
type keywords map[string]handler

// each hands every statement of a block to its keyword.
func (t *translator) each(block []*statement, k keywords) {
	for _, s := range block {
		if do, ok := k[s.keyword()]; ok {
			do(t, s)
			continue
		}
		hint := ""
		known := make([]string, 0, len(k))
		for name := range k {
			known = append(known, name)
		}
		slices.Sort(known)
		if near := clitext.Nearest(s.keyword(), known); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		t.lost(s, "%q is no keyword here%s", s.keyword(), hint)
	}
}

// taken marks the statement's own line.
func (t *translator) taken(s *statement) { t.report.Taken(s.at) }

// changed marks a statement with all that is in its block.
func (t *translator) changed(s *statement, format string, args ...any) {
	t.report.Changed(s.at, format, args...)
	t.inside(s, func(at importer.Place) { t.report.Changed(at, "goes with %s above", s.keyword()) })
}

// lost marks a statement with all that is in its block as not supported.
func (t *translator) lost(s *statement, format string, args ...any) {
	t.report.Unsupported(s.at, format, args...)
	t.inside(s, func(at importer.Place) { t.report.Unsupported(at, "goes with %s above", s.keyword()) })
}

// inside calls mark for every line of the statement's block but its first and its braces.
func (t *translator) inside(s *statement, mark func(importer.Place)) {
	for _, sub := range s.block {
		if sub.at != s.at {
			mark(sub.at)
		}
		t.inside(sub, mark)
	}
}

// keep takes a keyword over.
func keep(do func(t *translator, s *statement)) handler {
	return func(t *translator, s *statement) { t.taken(s); do(t, s) }
}

// note says how a keyword's purpose is reached here.
func note(text string) handler {
	return func(t *translator, s *statement) { t.changed(s, "%s", text) }
}

// drop says why a keyword has no counterpart.
func drop(text string) handler {
	return func(t *translator, s *statement) { t.lost(s, "%s", text) }
}

// alias adds handlers under more names.
func (k keywords) alias(h handler, names ...string) keywords {
	for _, n := range names {
		k[n] = h
	}
	return k
}

// on reads the boolean after a keyword; a bare keyword means yes.
func (t *translator) on(s *statement) bool {
	switch strings.ToLower(s.arg(0)) {
	case "", "on", "true", "yes":
		return true
	case "off", "false", "no":
		return false
	}
	t.lost(s, "%q is neither on nor off", s.arg(0))
	return false
}
