package tools

import (
	"strings"
	"testing"
)

// Where a resource is, and what is known of it.
func TestResourceQueries(t *testing.T) {
	newStory(t).play(CrmResource,
		step{"-W -r web", 0, "resource web is running on: a\n"},
		step{"-l", 0, "web\nidle\n"},
		step{"-r web -g state", 0, "/run/web\n"},
		step{"-a -r web", 0, "Resources colocated with web:\n  * idle (score=10, id=near)\n"},
		step{"-A -r idle", 0, "Resources idle is colocated with:\n  * web (score=10, id=near)\n"},
		step{"-W -r nothing", 105, "Resource 'nothing' not found"},
		step{"-W", 64, "Must supply a resource id with -r"},
		step{"-r web -g colour", 0, ""}, // as Pacemaker 2.1.5: said on standard error only
	)
}

func TestResourceOperations(t *testing.T) {
	s := newStory(t)
	code, out, _ := s.call(CrmResource, "-O")
	if code != 0 || !strings.Contains(out, "web_start_0") || !strings.Contains(out, "a") {
		t.Errorf("exit %d: %q", code, out)
	}
}

// A ban keeps the resource off a node, a move sends it to one, clear takes both away.
func TestBanMoveClear(t *testing.T) {
	s := newStory(t)
	code, out, errs := s.call(CrmResource, "-B -r web")
	if code != 0 || !strings.Contains(out, "'cli-ban-web-on-a' with a score of -INFINITY for resource web on a") {
		t.Fatalf("ban: exit %d: %s%s", code, out, errs)
	}
	s.play(CrmResource,
		step{"-U -r web", 0, "Removing constraint: cli-ban-web-on-a\n"},
		step{"-U -r web", 0, ""},
		step{"-B -r web -N b -Q", 0, ""},
		step{"-U -r web -N a", 0, ""},
		step{"-U -r web -N b", 0, "Removing constraint: cli-ban-web-on-b\n"},
		step{"-M -r web -N b -Q", 0, ""},
	)
	if doc := s.cib(); !strings.Contains(doc, `id="cli-prefer-web"`) {
		t.Errorf("no move in %s", doc)
	}
	s.play(CrmResource,
		step{"-U -r web", 0, "Removing constraint: cli-prefer-web\n"},
		step{"-M -r web -N nobody", 105, "nobody"},
		step{"-B -r nothing -N a", 105, "nothing"},
		step{"-U -r web -N nobody", 105, "Node 'nobody' not found"},
	)
	if doc := s.cib(); strings.Contains(doc, "cli-") {
		t.Errorf("a constraint has been left behind: %s", doc)
	}
}

func TestResourceParameters(t *testing.T) {
	newStory(t).play(CrmResource,
		step{"-r idle -p colour -v red", 0, "Set 'idle' option: id=idle-instance_attributes-colour set=idle-instance_attributes name=colour value=red\n"},
		step{"-r idle -g colour", 0, "red\n"},
		step{"-r idle -m -p target-role -v Stopped -Q", 0, ""},
		step{"-r idle -m -g target-role", 0, "Stopped\n"},
		step{"-r idle -d colour", 0, "Deleted 'idle' option: id=idle-instance_attributes-colour name=colour\n"},
		step{"-r idle -p colour", 64, "supply a value with the -v option"},
		step{"-r nothing -p colour -v red", 105, "Resource 'nothing' not found"},
		step{"-r idle -D", 105, "specify a resource type with -t"},
	)
}

// Lists, states and XML, compared with Pacemaker's.
func TestResourceStates(t *testing.T) {
	newStory(t).play(CrmResource,
		step{"-L", 0, "Full List of Resources:\n  * web\t(ocf:heartbeat:Dummy):\t Started\n  * idle\t(ocf:heartbeat:Dummy):\t Stopped\n"},
		step{"-w -r idle", 0, "idle\t(ocf:heartbeat:Dummy):\t Stopped\nResource XML:\n<primitive id=\"idle\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>\n"},
		step{"-Y -r idle", 0, "Resource idle is not running\n"},
		step{"-C -r web", 0, ""}, // nothing to do on a file, as standard error says
	)
}

// With --recursive, what is placed with the resource is changed with it.
func TestRecursiveParameter(t *testing.T) {
	newStory(t).play(CrmResource,
		step{"-r web -m --recursive -p priority -v 5", 0, "Set 'web' option: id=web-meta_attributes-priority set=web-meta_attributes name=priority value=5\n" +
			"Set 'idle' option: id=idle-meta_attributes-priority set=idle-meta_attributes name=priority value=5\n"},
		step{"-r idle -m -g priority", 0, "5\n"},
	)
}

// What only a running cluster can do is refused on a file, with what to do about it.
func TestResourceNeedsCluster(t *testing.T) {
	newStory(t).play(CrmResource,
		step{"-F -r web", 64, "Must supply a node name with -N"},
		step{"-F -r web -N a", 102, "unset it"},
		step{"--force-stop -r web", 102, "unset it"},
		step{"--restart -r web", 102, "unset it"},
		step{"--wait", 102, "unset it"},
	)
}
