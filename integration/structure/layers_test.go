package structure

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// core are the packages of values and functions.
var core = []string{
	"exit", "score", "isotime", "cib", "command", "model", "rules", "status", "scheduler",
	"transition", "controller", "simulate", "clitext", "display", "lease", "explain", "analyze", "recheck",
}

// shell are the packages of the CRM that own goroutines, sockets and files.
var shell = []string{
	"transport", "store", "membership", "fencing", "watchdog", "attrs", "alerts", "metrics",
	"api", "shell", "node", "cluster", "secret", "importer", "lvs", "template",
}

// layer is a row of DESIGN.md §1.
type layer int

const (
	unknown layer = iota
	contract
	executor
	agents
	coreLayer
	shellLayer
	programs
)

var layerNames = map[layer]string{
	unknown: "no layer", contract: "the contract", executor: "the executor", agents: "agents",
	coreLayer: "the core", shellLayer: "the shell of the CRM", programs: "programs",
}

func layerOf(pkg string) layer {
	switch {
	case pkg == "resources":
		return contract
	case under(pkg, "resources/executor"):
		return executor
	case under(pkg, "agents"):
		return agents
	case under(pkg, "cmd"), under(pkg, "integration"), under(pkg, "conf/internal"):
		return programs
	case under(pkg, "conf"):
		return shellLayer
	}
	rest, ok := strings.CutPrefix(pkg, "crm/")
	first, _, _ := strings.Cut(rest, "/")
	switch {
	case ok && slices.Contains(core, first):
		return coreLayer
	case ok && slices.Contains(shell, first):
		return shellLayer
	}
	return unknown
}

// below are the layers whose packages a layer may import.
var below = map[layer][]layer{
	contract:   {},
	executor:   {contract, executor},
	agents:     {contract, executor, agents},
	coreLayer:  {contract, coreLayer},
	shellLayer: {contract, executor, agents, coreLayer, shellLayer},
	programs:   {contract, executor, agents, coreLayer, shellLayer, programs},
}

func TestImportsPointDown(t *testing.T) {
	all := parse(t)
	for _, pkg := range all.packages() {
		from := layerOf(pkg)
		if from == unknown {
			t.Errorf("package %s is in no layer: give it a row in DESIGN.md §1 and here", pkg)
			continue
		}
		for _, i := range all.imports(pkg) {
			to, ok := ours(i)
			if ok && !slices.Contains(below[from], layerOf(to)) {
				t.Errorf("%s (%s) imports %s (%s)", pkg, layerNames[from], to, layerNames[layerOf(to)])
			}
		}
	}
}

// Agents share some packages made for it; but for the registry, none knows another.
func TestAgentsKeepApart(t *testing.T) {
	shared := []string{"agents/process", "agents/guard", "agents/internal", "agents/check"}
	all := parse(t)
	for _, pkg := range all.packages() {
		if !under(pkg, "agents") || pkg == "agents" {
			continue
		}
		for _, i := range all.imports(pkg) {
			to, ok := ours(i)
			if !ok || !under(to, "agents") || agentOf(to) == agentOf(pkg) {
				continue
			}
			if !slices.ContainsFunc(shared, func(s string) bool { return under(to, s) }) {
				t.Errorf("%s imports %s: what both need belongs into one of %q", pkg, to, shared)
			}
		}
	}
}

// agentOf is the package of an agent, for it and those below it.
func agentOf(pkg string) string {
	parts := strings.Split(pkg, "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// banned are packages that would let the core see the world. net/netip is only values.
var banned = []string{"os", "net", "log", "math/rand", "sync", "syscall", "os/exec", "os/signal", "crypto/rand", "io/ioutil"}

func bannedImport(i string) bool {
	if i == "net/netip" {
		return false
	}
	return slices.ContainsFunc(banned, func(b string) bool { return under(i, b) }) || under(i, "golang.org/x/sys")
}

func TestCoreTouchesNothing(t *testing.T) {
	all := parse(t)
	seen := 0
	for _, pkg := range all.packages() {
		if l := layerOf(pkg); l != coreLayer && l != contract {
			continue
		}
		seen++
		for _, i := range all.imports(pkg) {
			if bannedImport(i) {
				t.Errorf("%s is pure and imports %s", pkg, i)
			}
		}
		for _, s := range all[pkg] {
			for _, use := range clockUses(s) {
				t.Errorf("%s is pure and reads a clock: %s", pkg, use)
			}
		}
	}
	if seen < len(core)/2 {
		t.Errorf("only %d pure packages found", seen)
	}
}

// clocks are the functions of package time that read a clock or wait for one.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// clockUses are the places where a file uses one, called or not.
func clockUses(s source) []string {
	local := ""
	for _, i := range s.file.Imports {
		if p, _ := strconv.Unquote(i.Path.Value); p == "time" {
			local = "time"
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && slices.Contains(clocks, sel.Sel.Name) {
			found = append(found, s.position(sel)+" time."+sel.Sel.Name)
		}
		return true
	})
	return found
}
