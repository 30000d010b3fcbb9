package tools

import (
	"context"
	"fmt"
	"strings"

	"systole/crm/cib"
	"systole/crm/shell/options"
	"systole/crm/shell/tool"
)

// Build is what stands for the build in version lines.
const Build = "systole"

// Pacemakerd is pacemakerd as agents and shells ask it: for its version and
// features. Starting the cluster is systoled's business.
func Pacemakerd(ctx context.Context, stdio *tool.IO, args []string) int {
	for _, a := range args {
		switch a {
		case "-$", "--version":
			stdio.Printf("Pacemaker %s\n%s\n", options.Version, Build)
			return 0
		case "-F", "--features":
			stdio.Printf("Pacemaker %s (Build: %s)\n Supporting v%s: agent-manpages cibsecrets systemd\n", options.Version, Build, cib.CurrentFeatureSet)
			return 0
		case "-?", "-h", "--help":
			stdio.Printf("pacemakerd - version and features of the cluster manager\n\nOptions:\n  -$, --version    print the version\n  -F, --features   print version and features\n\nThe cluster is started by systoled.\n")
			return 0
		}
	}
	fmt.Fprintf(stdio.Err, "pacemakerd: the daemon is systoled; start that (systemctl start systoled)\n")
	return 64
}

// daemon answers for one of Pacemaker's daemons: "metadata" and "version".
func daemon(d options.Daemon) tool.Tool {
	return func(ctx context.Context, stdio *tool.IO, args []string) int {
		if len(args) == 1 {
			switch args[0] {
			case "metadata":
				stdio.Printf("%s\n", strings.TrimRight(string(options.Metadata(d).XML()), "\n"))
				return 0
			case "version", "-$", "--version":
				stdio.Printf("CRM Version: %s (%s)\n", options.Version, Build)
				return 0
			}
		}
		fmt.Fprintf(stdio.Err, "%s: this name answers to metadata and version only; the daemon is systoled\n", d)
		return 64
	}
}

// The daemons that crmsh and pcs ask for metadata.
var (
	Controld   = daemon(options.Controller)
	Schedulerd = daemon(options.Scheduler)
	Based      = daemon(options.Manager)
	Fenced     = daemon(options.Fencer)
)
