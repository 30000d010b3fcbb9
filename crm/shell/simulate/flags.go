package simulate

import (
	"time"

	"github.com/spf13/cobra"

	"systole/crm/exit"
	"systole/crm/simulate"
)

// request is a parsed command line.
type request struct {
	live      bool
	file      string // -x; "-" is standard input
	pipe      bool
	run       bool // schedule
	execute   bool // and carry the transition out
	inPlace   bool
	at        string // -t as given; "" for none
	changes   []simulate.Change
	fail      []simulate.OpSpec
	scores    bool
	capacity  bool
	attrs     bool
	fails     bool
	quiet     bool
	saveInput string
	saveOut   string
	graph     string
	dot       string
	all       bool
	profile   string
	repeat    int
	format    string
	output    string
	version   bool
	help      string // the text of help, when it was asked for
}

// kinds are the options that pretend an event, with its kind.
var kinds = []struct {
	kind        simulate.ChangeKind
	long, short string
	help        string
}{
	{simulate.Quorum, "quorum", "q", "pretend that the partition has quorum (1) or not (0)"},
	{simulate.Watchdog, "watchdog", "w", "pretend that a watchdog is active (1) or not (0)"},
	{simulate.NodeUp, "node-up", "u", "pretend that `node` comes online"},
	{simulate.NodeDown, "node-down", "d", "pretend that `node` leaves in good order"},
	{simulate.NodeFail, "node-fail", "f", "pretend that `node` is lost"},
	{simulate.TicketGrant, "ticket-grant", "g", "pretend that `ticket` is granted"},
	{simulate.TicketRevoke, "ticket-revoke", "r", "pretend that `ticket` is revoked"},
	{simulate.TicketStandby, "ticket-standby", "b", "pretend that `ticket` goes to standby"},
	{simulate.TicketActivate, "ticket-activate", "e", "pretend that `ticket` is active again"},
	{simulate.Operation, "op-inject", "i", "pretend the result `RSC_TASK_INTERVALMS@NODE=RC` of an operation"},
}

const about = `Simulate how the cluster reacts to its present state or to pretended events.

The CIB comes from a file (-x, "-" for standard input; bzip2 and gzip are
unpacked), from standard input (-p), or from the cluster (-L, the default; or
what CIB_file names). Nothing outside is changed except by -X, -I, -O, -G, -D.

Example: what happens if node1 is lost and the address cannot start on node2:
  crm_simulate -L -S -f node1 -F vip_start_0@node2=1`

// parse reads the command line; its error carries exit status 64.
func parse(args []string) (request, error) {
	var r request
	cmd := &cobra.Command{Use: "crm_simulate [options]", Long: about}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&r.live, "live-check", "L", false, "use the CIB of the running cluster")
	f.StringVarP(&r.file, "xml-file", "x", "", "use the CIB in `file`")
	f.BoolVarP(&r.pipe, "xml-pipe", "p", false, "use the CIB on standard input")
	f.BoolVarP(&r.run, "run", "R", false, "show what the cluster would do")
	f.BoolVarP(&r.execute, "simulate", "S", false, "show also the execution and the state after it")
	f.BoolVarP(&r.inPlace, "in-place", "X", false, "like -S, and store the CIB after it back into the input file")
	f.StringVarP(&r.at, "set-datetime", "t", "", "plan for this `time` (ISO 8601)")
	values := make([]*[]string, len(kinds))
	for i, k := range kinds {
		values[i] = f.StringArrayP(k.long, k.short, nil, k.help)
	}
	fail := f.StringArrayP("op-fail", "F", nil, "let the operation `RSC_TASK_INTERVALMS@NODE=RC` fail when it comes to it")
	f.BoolVarP(&r.scores, "show-scores", "s", false, "show scores")
	f.BoolVarP(&r.capacity, "show-utilization", "U", false, "show utilization")
	f.BoolVarP(&r.attrs, "show-attrs", "A", false, "show node attributes")
	f.BoolVarP(&r.fails, "show-failcounts", "c", false, "show fail counts")
	f.BoolVarP(&r.quiet, "quiet", "Q", false, "show only what was asked for expressly")
	f.StringVarP(&r.saveInput, "save-input", "I", "", "save the CIB that is planned for, with the pretended events, in `file`")
	f.StringVarP(&r.saveOut, "save-output", "O", "", "save the CIB after all that was simulated in `file`")
	f.StringVarP(&r.graph, "save-graph", "G", "", "save the transition graph as XML in `file`")
	f.StringVarP(&r.dot, "save-dotfile", "D", "", "save the transition graph for graphviz in `file`")
	f.BoolVarP(&r.all, "all-actions", "a", false, "draw also the actions that nothing needs (-D)")
	f.StringVarP(&r.profile, "profile", "P", "", "plan for every XML file in `directory` and show the time it took")
	f.IntVarP(&r.repeat, "repeat", "N", 1, "with -P: so many times")
	f.StringVar(&r.format, "output-as", "text", "print text or xml")
	f.StringVar(&r.output, "output-to", "-", "print into `file`")
	f.Bool("text-fancy", false, "accepted; text is always arranged")
	f.BoolP("pending", "j", false, "accepted; operations in progress are always shown")
	f.CountP("verbose", "V", "accepted")
	f.BoolVarP(&r.version, "version", "$", false, "show the version")
	_ = f.MarkHidden("pending")
	_ = f.MarkHidden("text-fancy")
	help := f.BoolP("help", "h", false, "show this help")
	f.BoolVar(help, "help-all", false, "show this help")
	_ = f.MarkHidden("help-all")
	if err := f.Parse(args); err != nil {
		return r, exit.Errorf(exit.Usage, "%v; see crm_simulate --help", err)
	}
	if *help {
		r.help = about + "\n\nOptions:\n" + f.FlagUsages()
	}
	for i, k := range kinds {
		for _, v := range *values[i] {
			r.changes = append(r.changes, simulate.Change{Kind: k.kind, Value: v})
		}
	}
	for _, text := range *fail {
		spec, err := simulate.ParseOpSpec(text)
		if err != nil {
			return r, exit.With(exit.Usage, err)
		}
		r.fail = append(r.fail, spec)
	}
	return r, r.complete()
}

// complete derives what options imply and refuses what cannot be.
func (r *request) complete() error {
	if r.format != "text" && r.format != "xml" {
		return exit.Errorf(exit.Usage, "output format %q: want text or xml", r.format)
	}
	if r.pipe {
		r.file = "-"
	}
	if r.repeat < 1 {
		return exit.Errorf(exit.Usage, "--repeat %d: want at least 1", r.repeat)
	}
	r.execute = r.execute || r.inPlace || len(r.fail) > 0
	r.run = r.run || r.execute || r.scores || r.capacity || r.graph != "" || r.dot != "" || len(r.changes) > 0
	if r.inPlace && (r.file == "" || r.file == "-") {
		return exit.Errorf(exit.Usage, "--in-place needs the file to store into: give it with --xml-file")
	}
	return nil
}

// notice tells of the time planned for, when it is not the present.
func (r *request) notice(effective time.Time, original bool) []string {
	switch {
	case r.at != "":
		return []string{"Setting effective cluster time: " + r.at}
	case original:
		return []string{"Using the original execution date of: " + effective.UTC().Format("2006-01-02 15:04:05Z")}
	}
	return nil
}
