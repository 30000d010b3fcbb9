package dummy

import "systole/resources"

var all = []*resources.Metadata{&dummyMeta, &statefulMeta, &delayMeta}

var (
	stateParam = resources.Parameter{Name: "state", Type: resources.ParamString, Unique: true,
		Short: "State file", Long: "Where to remember that the resource runs; left out, a file named for the instance."}
	sleepParam = resources.Parameter{Name: "op_sleep", Type: resources.ParamTime, Default: "0",
		Short: "Duration of every operation", Long: "How long every operation takes."}
)

func actions(names ...string) []resources.ActionSpec {
	as := []resources.ActionSpec{
		{Name: "start", Timeout: "20s"}, {Name: "stop", Timeout: "20s"}, {Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
	}
	for _, n := range names {
		as = append(as, resources.ActionSpec{Name: n, Timeout: "20s"})
	}
	return append(as, resources.ActionSpec{Name: "validate-all", Timeout: "20s"}, resources.ActionSpec{Name: "meta-data", Timeout: "5s"})
}

var dummyMeta = resources.Metadata{
	Name: "Dummy", Version: "1.0", API: "1.0", Short: "Does nothing", Long: "A resource that only remembers that it runs. For tests and examples.",
	Parameters: []resources.Parameter{
		stateParam, sleepParam,
		{Name: "fake", Type: resources.ParamString, Default: "dummy", Short: "Any text", Long: "A parameter to change."},
		{Name: "fail_start_on", Type: resources.ParamString, Short: "Node to fail on", Long: "Name of a node on which the start fails."},
	},
	Actions: actions("migrate_to", "migrate_from", "reload"),
}

var statefulMeta = resources.Metadata{
	Name: "Stateful", Version: "1.0", API: "1.0", Short: "Can be promoted", Long: "A resource with two roles that only remembers them. For tests and examples.",
	Parameters: []resources.Parameter{stateParam, sleepParam},
	Actions:    actions("promote", "demote", "notify"),
}

var delayMeta = resources.Metadata{
	Name: "Delay", Version: "1.0", API: "1.0", Short: "Takes its time", Long: "A resource whose operations take a given time. For tests and examples.",
	Parameters: []resources.Parameter{
		stateParam,
		{Name: "startdelay", Type: resources.ParamTime, Default: "20", Short: "Start", Long: "How long the start takes."},
		{Name: "stopdelay", Type: resources.ParamTime, Default: "30", Short: "Stop", Long: "How long the stop takes."},
		{Name: "mondelay", Type: resources.ParamTime, Default: "30", Short: "Monitor", Long: "How long a recurring monitor takes."},
	},
	Actions: actions(),
}
