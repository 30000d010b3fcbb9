package tools

import (
	"strings"
	"testing"
)

// Each type of attribute: absent, set, read, changed, deleted, absent again.
func TestAttributeTypes(t *testing.T) {
	for _, where := range []struct{ options, scope, deleted string }{
		{"", "crm_config", "Deleted crm_config option: id=cib-bootstrap-options-x name=x\n"},
		{"-t crm_config", "crm_config", "Deleted crm_config option: id=cib-bootstrap-options-x name=x\n"},
		{"-N b", "nodes", "Deleted nodes attribute: id=nodes-2-x name=x\n"},
		{"-N b -l forever", "nodes", "Deleted nodes attribute: id=nodes-2-x name=x\n"},
		{"-N b -z", "nodes", "Deleted nodes attribute: id=nodes-2-utilization-x name=x\n"},
		{"-N a -l reboot", "status", "Deleted status attribute: id=status-1-x name=x\n"},
		{"-t rsc_defaults", "rsc_defaults", "Deleted rsc_defaults option: id=rsc-options-x name=x\n"},
		{"-t op_defaults", "op_defaults", "Deleted op_defaults option: id=op-options-x name=x\n"},
		{"-t tickets", "tickets", "Deleted tickets option: id=status-tickets-x name=x\n"},
	} {
		at := " -n x " + where.options
		newStory(t).play(CrmAttribute,
			step{"-G" + at, 105, "No such device or address"},
			step{"-G -d none" + at, 0, "scope=" + where.scope + "  name=x value=none\n"},
			step{"-v 1" + at, 0, ""},
			step{"-G" + at, 0, "scope=" + where.scope + "  name=x value=1\n"},
			step{"-G -q -d none" + at, 0, "1\n"},
			step{"-v 2" + at, 0, ""},
			step{"-G -q" + at, 0, "2\n"},
			step{"-D" + at, 0, where.deleted},
			step{"-G" + at, 105, "No such device or address"},
		)
	}
}

func TestAttributeArguments(t *testing.T) {
	newStory(t).play(CrmAttribute,
		step{"-t kitchen -n x -G", 64, `"kitchen" is no section`},
		step{"-v 1", 64, "name the attribute with -n"},
		step{"-N nobody -n x -v 1", 105, "Could not map name=nobody to a UUID"},
		step{"--no-such-option", 64, "Unknown option --no-such-option"},
		step{"-p -G", 64, "must be called from an OCF resource agent"},
	)
}

// A promotion score belongs to the resource named, or to the one whose agent calls.
func TestPromotionScore(t *testing.T) {
	s := newStory(t)
	s.play(CrmAttribute,
		step{"-p web -G -q", 0, "7\n"},
		step{"--promotion=web -N b -G -q -d 0", 0, "0\n"},
		step{"-p idle -v 11", 0, ""},
		step{"-p idle -G -q", 0, "11\n"},
	)
	s.env["OCF_RESOURCE_INSTANCE"] = "web"
	s.play(CrmAttribute, step{"-p -v 8", 0, ""}, step{"-p -G -q", 0, "8\n"})
	s.play(CrmMaster, step{"-G -Q", 0, "8\n"}, step{"-r idle -G -Q", 0, "11\n"})
}

// value++ and value+=N count, from what is there.
func TestAttributeCounts(t *testing.T) {
	newStory(t).play(CrmAttribute,
		step{"-n x -v 1", 0, ""}, step{"-n x -v x++", 0, ""}, step{"-n x -v value+=5", 0, ""},
		step{"-n x -G -q", 0, "7\n"}, step{"-n x -v x+=soon", 0, ""}, step{"-n x -G -q", 0, "x+=soon\n"},
	)
}

func TestStandby(t *testing.T) {
	s := newStory(t)
	s.play(CrmStandby,
		step{"-G -q -N b", 0, "off\n"},
		step{"-v on -N b", 0, ""},
		step{"-G -N b", 0, "scope=nodes  name=standby value=on\n"},
		step{"-G -q", 0, "off\n"}, // of the local node, a
		step{"-D -N b", 0, "Deleted nodes attribute: id=nodes-2-standby name=standby\n"},
		step{"-G -q -N b", 0, "off\n"},
		step{"-v on -l reboot", 0, ""},
		step{"-G", 0, "scope=status  name=standby value=on\n"},
	)
}

func TestFailcount(t *testing.T) {
	newStory(t).play(CrmFailcount,
		step{"-r web -q", 0, "3\n"},
		step{"-G -r web -N a", 0, "scope=status  name=fail-count-web value=3\n"},
		step{"-G -r web -N a -n monitor -I 10s", 0, "scope=status  name=fail-count-web#monitor_10000 value=3\n"},
		step{"-G -q -r web -n start", 0, "0\n"},
		step{"-G -q -r web -N b", 0, "0\n"},
		step{"-G -q -r idle", 0, "0\n"},
		step{"-G", 64, "name the resource with -r"},
		step{"-r web -v 5", 64, "a fail count can be set to 0 only"},
	)
}

// --output-as=xml is one document, with the status in it.
func TestAttributeAsXML(t *testing.T) {
	s := newStory(t)
	if code, out, _ := s.call(CrmAttribute, "-n stonith-enabled -G --output-as=xml"); code != 0 ||
		!strings.Contains(out, `<attribute name="stonith-enabled" value="false" scope="crm_config"/>`) || !strings.Contains(out, `<status code="0"`) {
		t.Errorf("exit %d: %s", code, out)
	}
	s.play(CrmAttribute, step{"-n x -G --output-as=html", 64, "--output-as is text or xml"})
}

// A pattern means all transient attributes whose names match.
func TestAttributePattern(t *testing.T) {
	newStory(t).play(CrmAttribute,
		step{"-N a -l reboot -P master.* -G", 0, "scope=status  name=master-web value=7\n"},
		step{"-N a -l reboot -P master.* -v 9", 0, ""},
		step{"-p web -G -q", 0, "9\n"},
		step{"-N a -l reboot -P fail-count.* -G -q", 0, "3\n"},
		step{"-N a -l reboot -P nothing.* -G", 105, ""},
	)
}
