package tools

import (
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/shell/tool"
)

// A ticket is granted with force, put in standby, revoked and forgotten.
func TestTicketStory(t *testing.T) {
	newStory(t).play(CrmTicket,
		step{"-w", 0, ""},
		step{"-g", 64, "Must supply ticket ID with -t"},
		step{"-t T -g", 4, "Ticket modification not allowed"},
		step{"-t T -g -f", 0, ""},
		step{"-w", 0, "T\n"},
		step{"-t T -G granted", 0, "true\n"},
		step{"-t T -G owner", 105, ""},
	)
}

func TestTicketAttributes(t *testing.T) {
	newStory(t).play(CrmTicket,
		step{"-t T -S owner -v north", 0, ""},
		step{"-t T -G owner", 0, "north\n"},
		step{"-t T -G colour -d red", 0, "red\n"},
		step{"-t T -S owner", 64, "Must supply attribute value with -v"},
		step{"-t T -S granted -v true", 4, "Ticket modification not allowed"},
		step{"-t T -D owner", 0, ""},
		step{"-t T -G owner -d nobody", 0, "nobody\n"},
		step{"-t T -s", 0, ""}, step{"-t T -G standby", 0, "true\n"},
		step{"-t T -a", 0, ""}, step{"-t T -G standby", 0, "false\n"},
		step{"-t T -g -f", 0, ""}, step{"-t T -C", 4, "Ticket modification not allowed"},
		step{"-t T -r -f", 0, ""}, step{"-t T -C", 0, ""}, step{"-w", 0, ""},
		step{"-t gone -l", 105, "No such ticket 'gone'"},
		step{"-t gone -q", 105, "Could not show ticket XML"},
		step{"-c", 105, "Could not show ticket constraints"},
	)
}

// On a file there is no membership to ask about, so what needs the daemon says so.
func TestWithoutDaemon(t *testing.T) {
	newStory(t).play(CrmNode,
		step{"", 64, "say what to print"},
		step{"-l", 0, "1 a member\n2 b member\n"}, // from the file, so that agents can be tried out
		step{"-q", 102, "CIB_file"},
		step{"-p", 102, "CIB_file"},
		step{"-i", 102, "CIB_file"},
	)
	newStory(t).play(StonithAdmin,
		step{"", 64, "say what to do"},
		step{"--reboot", 64, ""},
		step{"--reboot a", 102, "Could not connect to fencer"},
		step{"--confirm a", 102, "Could not connect to fencer"},
		step{"--history a", 102, "Could not connect to fencer"},
		step{"-L", 102, "Could not connect to fencer"},
		step{"--burn a", 64, "Unknown option --burn"},
	)
}

// Without a file and without a daemon, every tool ends with 102 and says what cannot be reached.
func TestNobodyAnswers(t *testing.T) {
	s := newStory(t)
	s.env = map[string]string{"SYSTOLE_SOCKET": filepath.Join(t.TempDir(), "nobody"), "CRM_meta_on_node": "a"}
	for name, c := range map[string]struct {
		run  tool.Tool
		args string
	}{
		"crm_resource": {CrmResource, "-l"}, "crm_attribute": {CrmAttribute, "-n x -G"}, "crm_node": {CrmNode, "-n"}, "crm_ticket": {CrmTicket, "-w"},
		"crm_failcount": {CrmFailcount, "-r web -G"}, "crm_standby": {CrmStandby, "-G"}, "stonith_admin": {StonithAdmin, "-L"},
	} {
		if code, out, errs := s.call(c.run, c.args); code != 102 || !strings.Contains(errs, name+": ") {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errs)
		}
	}
}

// A CIB_file that is not there is 105, not an empty cluster.
func TestMissingFile(t *testing.T) {
	s := newStory(t)
	s.env["CIB_file"] = filepath.Join(t.TempDir(), "none.xml")
	s.play(CrmResource, step{"-l", 105, "none.xml"})
	s.play(CrmAttribute, step{"-n x -G", 105, "none.xml"}, step{"-n x -v 1", 105, "none.xml"})
	s.play(CrmTicket, step{"-t T -g -f", 105, "none.xml"})
}

// Every tool has help and a version.
func TestHelpAndVersion(t *testing.T) {
	s := newStory(t)
	for name, run := range map[string]tool.Tool{"crm_resource": CrmResource, "crm_attribute": CrmAttribute, "crm_node": CrmNode, "crm_ticket": CrmTicket, "crm_failcount": CrmFailcount,
		"crm_standby": CrmStandby, "stonith_admin": StonithAdmin, "crmadmin": Crmadmin, "attrd_updater": AttrdUpdater} {
		if code, out, _ := s.call(run, "--help"); code != 0 || !strings.HasPrefix(out, name+" - ") {
			t.Errorf("%s --help: exit %d: %.60q", name, code, out)
		}
		if code, out, _ := s.call(run, "--version"); code != 0 || !strings.HasPrefix(out, "Pacemaker ") {
			t.Errorf("%s --version: exit %d: %q", name, code, out)
		}
	}
}
