package shell_test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"systole/crm/shell"
	"systole/crm/shell/cibtools"
	"systole/crm/shell/mon"
	"systole/crm/shell/simulate"
	"systole/crm/shell/tool"
	"systole/crm/shell/tools"
)

// TestMain lets the scripts call the programs by name.
func TestMain(m *testing.M) {
	programs := map[string]tool.Tool{
		"crm": shell.Run, "crm_resource": tools.CrmResource, "crm_attribute": tools.CrmAttribute, "crm_standby": tools.CrmStandby,
		"crm_failcount": tools.CrmFailcount, "crm_master": tools.CrmMaster, "crm_ticket": tools.CrmTicket, "crm_node": tools.CrmNode,
		"crmadmin": tools.Crmadmin, "attrd_updater": tools.AttrdUpdater, "stonith_admin": tools.StonithAdmin, "pacemakerd": tools.Pacemakerd,
		"pacemaker-controld": tools.Controld, "pacemaker-schedulerd": tools.Schedulerd, "pacemaker-fenced": tools.Fenced,
		"corosync-quorumtool": tools.CorosyncQuorumtool, "corosync-cfgtool": tools.CorosyncCfgtool, "pacemaker-based": tools.Based,
		"cibadmin": cibtools.Cibadmin, "crm_diff": cibtools.CrmDiff, "crm_verify": cibtools.CrmVerify, "crm_shadow": cibtools.CrmShadow,
		"crm_mon": mon.Run, "crm_simulate": simulate.Run,
	}
	commands := map[string]func(){}
	for name, t := range programs {
		commands[name] = func() { os.Exit(t(context.Background(), tool.OS(name), os.Args[1:])) }
	}
	testscript.Main(m, commands)
}

// TestScripts runs testdata/script/*.txtar: every command on a file, with its
// help, its errors and its exit status. `rc STATUS COMMAND…` requires a status.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CIB_file", env.WorkDir+"/cib.xml")
			env.Setenv("CIB_shadow_dir", env.WorkDir+"/shadows")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"rc": status},
	})
}

// status runs a program and requires its exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: rc STATUS COMMAND…")
	}
	want := args[0]
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = exitStatus(err)
	}
	if got != want {
		ts.Fatalf("%v ended with status %s, want %s", args[1:], got, want)
	}
}
