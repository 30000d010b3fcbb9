package shell

import (
	"context"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/mon"
	"systole/crm/shell/verify"
)

// statusWords are crmsh's words for options of crm_mon.
var statusWords = map[string][]string{
	"bynode": {"-n"}, "inactive": {"-r"}, "ops": {"-o"}, "timing": {"-t"}, "failcounts": {"-f"}, "verbose": {"-V"}, "quiet": {"-Q"},
	"xml": {"-X"}, "simple": {"-s"}, "tickets": {"-c"}, "noheaders": {"-D"}, "detail": {"-R"}, "brief": {"-b"},
	"full": {"-n", "-c", "-r", "-f", "-t"},
}

// showStatus is `crm status`: crm_mon once.
func showStatus(ctx context.Context, c *call) error {
	args := []string{"-1"}
	if len(c.args) == 0 {
		args = append(args, "-r")
	}
	for _, a := range c.args {
		words, ok := statusWords[a]
		if !ok {
			words = []string{a}
		}
		args = append(args, words...)
	}
	if err := c.tool(ctx, "crm_mon", mon.Run, args...); err != nil || !c.src.Live() || slices.ContainsFunc(c.args, forPrograms) {
		return err
	}
	if seen, err := c.src.ReadLocal(ctx); err == nil && withoutQuorum(seen.Root()) {
		c.io.Println("\nQuorum is lost: what other nodes run is shown as it was last known; crm cluster status says who does not answer.")
	}
	return nil
}

// forPrograms are the formats of the status to which no sentence may be added.
func forPrograms(arg string) bool {
	return slices.Contains([]string{"xml", "simple", "-X", "-s", "--as-xml", "--simple-status"}, arg) || strings.HasPrefix(arg, "--output-")
}

// withoutQuorum says whether a daemon has shown the CIB without being part of a majority.
func withoutQuorum(root *cib.Element) bool { return root.Get("have-quorum") == "0" }

// verifyCluster checks the configuration the cluster has.
func verifyCluster(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	found := verify.Check(ctx, base.Root(), c.agents)
	c.warnings(found)
	return verify.Error(found)
}

// simulateLive shows what the cluster would do now.
func simulateLive(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	args := append([]string{"-x", "-"}, c.args...)
	if len(c.args) == 0 {
		args = append(args, "-S")
	}
	return c.simulate(ctx, base.String(), args)
}

// setOption changes a preference for the rest of the session.
func setOption(ctx context.Context, c *call) error {
	on, ok := true, true
	if len(c.args) > 1 {
		on, ok = onOff(c.args[1])
	}
	name := c.args[0]
	switch {
	case name == "sort-elements" || name == "sort_elements":
		if !ok {
			return exit.Errorf(exit.Usage, "write yes or no after %s", name)
		}
		c.set.sorted = on
	case name == "wait":
		if !ok {
			return exit.Errorf(exit.Usage, "write yes or no after %s", name)
		}
		c.set.wait = on
	case name == "force":
		c.set.force = on
	case c.here.name == "options" || len(c.args) > 0:
		// crmsh's other preferences (colours, pager, skill level…) have no meaning here.
	}
	return nil
}

func showOptions(ctx context.Context, c *call) error {
	yes := map[bool]string{true: "yes", false: "no"}
	c.io.Printf("force %s\nsort-elements %s\nwait %s\n", yes[c.set.force], yes[c.set.sorted], yes[c.set.wait])
	return nil
}
