package mon

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/status"
)

// request is a parsed command line.
type request struct {
	format   string // text, console, html, xml
	oldXML   bool   // -X: root element crm_mon
	output   string
	once     bool
	simple   bool // -s
	interval time.Duration
	detach   bool
	pidFile  string
	agent    string // -E
	receiver string // -e
	cgi      bool
	title    string
	style    string
	options  display.Options
	version  bool
	help     string
}

const about = `Show the state of the cluster.

Without -1 the picture is kept up to date until interrupted. The state comes from
the running cluster, or from the file that CIB_file names.

Sections for --include and --exclude, which apply from left to right:
  all none default attributes bans[:prefix] counts dc failcounts failures fencing
  fencing-failed fencing-pending fencing-succeeded maint-mode nodes operations
  options resources stack summary tickets times

Example: everything about one resource, once:
  crm_mon -1 -r -f -o --resource vip`

// parse reads the command line; its error carries exit status 64.
func parse(args []string) (request, error) {
	r := request{format: "console", output: "-"}
	s := sections{}
	cmd := &cobra.Command{Use: "crm_mon [options]"}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&r.format, "output-as", "console", "console, text, html or xml")
	f.StringVar(&r.output, "output-to", "-", "print into `file`")
	f.VarP(&s, "include", "I", "show also these `sections`")
	f.VarP(s.excluder(), "exclude", "U", "do not show these `sections`")
	f.StringVar(&r.options.Node, "node", "", "show only this `node`, or the nodes with this tag")
	f.StringVar(&r.options.Resource, "resource", "", "show only this `resource`, or the resources with this tag")
	f.BoolVarP(&r.options.GroupByNode, "group-by-node", "n", false, "arrange resources by node")
	f.BoolVarP(&r.options.Inactive, "inactive", "r", false, "show also what is not active")
	f.VarP(s.adder(display.ShowFailCounts), "failcounts", "f", "show fail counts")
	f.VarP(s.adder(display.ShowOperations), "operations", "o", "show the history of operations")
	timing := f.BoolP("timing-details", "t", false, "show it with times")
	f.VarP(s.adder(display.ShowTickets), "tickets", "c", "show tickets")
	f.VarP(s.fencer(), "fence-history", "m", "show fencing: `0` nothing, 1 failed and pending, 2 all, 3 every event")
	f.VarP(s.banner(), "neg-locations", "L", "show bans, only those whose id begins with `prefix`")
	f.VarP(s.adder(display.ShowAttributes), "show-node-attributes", "A", "show node attributes")
	f.VarP(s.hider(), "hide-headers", "D", "leave out the summary")
	f.BoolVarP(&r.options.Detail, "show-detail", "R", false, "show more of everything")
	f.BoolVarP(&r.options.Brief, "brief", "b", false, "count resources instead of naming them")
	f.BoolVarP(&r.simple, "simple-status", "s", false, "one line for monitoring programs")
	interval := f.StringP("interval", "i", "5s", "how often to look for changes")
	f.BoolVarP(&r.once, "one-shot", "1", false, "show the state once and end")
	f.BoolVarP(&r.detach, "daemonize", "d", false, "go to the background (with --output-to or --external-agent)")
	f.StringVarP(&r.pidFile, "pid-file", "p", "", "write the number of the background process into `file`")
	f.StringVarP(&r.agent, "external-agent", "E", "", "run `program` for every result of an operation")
	f.StringVarP(&r.receiver, "external-recipient", "e", "", "hand `text` to the program")
	f.BoolP("watch-fencing", "W", false, "accepted; fencing is always watched")
	html := f.StringP("as-html", "h", "", "write HTML into `file`")
	f.BoolVarP(&r.oldXML, "as-xml", "X", false, "XML with the old root element, once")
	plain := f.BoolP("disable-ncurses", "N", false, "print plain text")
	f.BoolVarP(&r.cgi, "web-cgi", "w", false, "answer a web server")
	f.BoolVar(&r.cgi, "html-cgi", false, "answer a web server")
	f.StringVar(&r.title, "html-title", "", "title of the page")
	f.StringVar(&r.style, "html-stylesheet", "", "link to a style sheet")
	f.Bool("text-fancy", false, "accepted; text is always arranged")
	f.CountP("verbose", "V", "accepted")
	f.BoolP("quiet", "Q", false, "accepted")
	f.BoolP("pending", "j", true, "accepted; operations in progress are always shown")
	f.BoolVarP(&r.version, "version", "$", false, "show the version")
	help := f.BoolP("help", "?", false, "show this help")
	f.BoolVar(help, "help-all", false, "show this help")
	for _, hidden := range []string{"text-fancy", "pending", "quiet", "verbose", "help-all", "watch-fencing"} {
		_ = f.MarkHidden(hidden)
	}
	for name, value := range map[string]string{"failcounts": "true", "operations": "true", "tickets": "true", "show-node-attributes": "true", "hide-headers": "true", "fence-history": "2", "neg-locations": "*"} {
		f.Lookup(name).NoOptDefVal = value
	}
	if err := f.Parse(joined(args)); err != nil {
		return r, exit.Errorf(exit.Usage, "%v; see crm_mon --help", err)
	}
	if *help {
		r.help = about + "\n\nOptions:\n" + f.FlagUsages()
		return r, nil
	}
	if *html != "" {
		r.format, r.output = "html", *html
	}
	if r.oldXML {
		r.format = "xml"
	}
	if *plain {
		r.format = "text"
	}
	if r.cgi {
		r.format = "html"
	}
	if *timing {
		s.steps = append(s.steps, add(display.ShowOperations))
		r.options.Timing = true
	}
	ms, ok := status.Millis(*interval)
	if !ok || ms <= 0 {
		return r, exit.Errorf(exit.Usage, "--interval %q is not a length of time; try 5s", *interval)
	}
	r.interval = time.Duration(ms) * time.Millisecond
	return r, r.complete(&s)
}

// joined writes the value of an option with optional value, -m3 or -m 3 style options of the
// field, the way the parser wants it: -m=3.
func joined(args []string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		for _, short := range []string{"-m", "-L"} {
			if value, ok := strings.CutPrefix(a, short); ok && value != "" && value[0] != '=' && strings.Trim(value, "1nrfotcADRbsXNW") != "" {
				args[i] = short + "=" + value
			}
		}
	}
	return args
}

// complete derives what options imply and refuses what cannot be.
func (r *request) complete(s *sections) error {
	defaults := display.DefaultText
	switch r.format {
	case "xml":
		defaults = display.DefaultXML
		r.once = true
		r.options.Inactive, r.options.Timing = true, true
	case "html":
		r.once = r.once || r.output == "-"
	case "text", "console":
	default:
		return exit.Errorf(exit.Usage, "output format %q: want console, text, html or xml", r.format)
	}
	if r.simple {
		r.once = true
	}
	if r.detach && r.output == "-" && r.agent == "" {
		return exit.Errorf(exit.Usage, "--daemonize needs --output-to or --external-agent, else nobody would see anything")
	}
	r.options.Show = s.apply(defaults)
	r.options.BansPrefix, r.options.FencingFull = s.bans, s.full
	return s.err
}
