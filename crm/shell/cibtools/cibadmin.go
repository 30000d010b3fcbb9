package cibtools

import (
	"context"
	"crypto/md5" //nolint:gosec // the digest clients compare, not a secret
	"encoding/hex"
	"fmt"
	"os/user"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// Cibadmin is cibadmin: questions to and changes of the CIB as XML.
func Cibadmin(ctx context.Context, stdio *tool.IO, args []string) int {
	return cibadmin.tool()(ctx, stdio, args)
}

// admin is a parsed call.
type admin struct {
	commands          []string // those given, in the order of commandNames
	scope, xpath      string
	paths, noChildren bool
	allowCreate       bool
	force, local      bool
	timeout           int
	data              document
	user              string
}

// commandNames are the options that say what to do.
var commandNames = []string{
	"query", "upgrade", "erase", "bump", "create", "modify", "patch", "replace", "delete", "delete-all",
	"empty", "md5-sum", "md5-sum-versioned", "features",
}

var cibadmin = program{
	name:  "cibadmin",
	about: "ask for and change the CIB as XML",
	notes: "\nExamples:\n  cibadmin --query --scope resources\n  cibadmin --modify --allow-create --scope crm_config --xml-file options.xml\n" +
		"  cibadmin --delete --xml-text '<primitive id=\"old\"/>'\n",
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		var a admin
		fs.BoolP("query", "Q", false, "print the CIB, a section of it, or what an XPath finds")
		fs.BoolP("upgrade", "u", false, "bring the configuration to the current vocabulary")
		fs.BoolP("erase", "E", false, "empty the whole CIB")
		fs.BoolP("bump", "B", false, "raise epoch by 1")
		fs.BoolP("create", "C", false, "add an element that is not there yet")
		fs.BoolP("modify", "M", false, "merge into an element that is there")
		fs.BoolP("patch", "P", false, "apply the output of crm_diff")
		fs.BoolP("replace", "R", false, "put an element, a section or a CIB in the place of the one there")
		fs.BoolP("delete", "D", false, "delete the first element with this tag and these attributes")
		fs.BoolP("delete-all", "d", false, "delete every such element")
		fs.BoolP("empty", "a", false, "print an empty CIB, of a schema that may be named")
		fs.BoolP("md5-sum", "5", false, "print the digest of a document as it is on disk")
		fs.BoolP("md5-sum-versioned", "6", false, "print the digest of a document as it goes over the wire")
		fs.BoolP("features", "!", false, "print what this build can do")
		fs.BoolVarP(&a.force, "force", "f", false, "do what may do harm")
		fs.IntVarP(&a.timeout, "timeout", "t", 30, "seconds to wait for an answer")
		fs.StringVarP(&a.user, "user", "U", "", "ask as this user")
		fs.BoolP("sync-call", "s", false, "wait for the answer (always done)")
		fs.BoolVarP(&a.local, "local", "l", false, "ask this node, whose copy may be old")
		fs.BoolVarP(&a.allowCreate, "allow-create", "c", false, "with --modify: create what is missing")
		fs.BoolVarP(&a.noChildren, "no-children", "n", false, "print elements without their children")
		fs.StringVarP(&a.data.text, "xml-text", "X", "", "the XML to use")
		fs.StringVarP(&a.data.file, "xml-file", "x", "", "file with the XML to use")
		fs.BoolVarP(&a.data.pipe, "xml-pipe", "p", false, "the XML to use comes on standard input")
		fs.StringVarP(&a.scope, "scope", "o", "", "section to work on: "+fmt.Sprint(cib.Sections()))
		fs.StringVarP(&a.xpath, "xpath", "A", "", "XPath to work on instead of a section")
		fs.BoolVarP(&a.paths, "node-path", "e", false, "with --xpath: print the paths of what is found")
		fs.StringP("node", "N", "", "node to ask")
		fs.StringP("host", "h", "", "")
		fs.BoolP("no-bcast", "b", false, "")
		for _, hidden := range []string{"features", "host", "no-bcast"} {
			fs.Lookup(hidden).Hidden = true
		}
		fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
			if name == "obj_type" {
				name = "scope"
			}
			return pflag.NormalizedName(name)
		})
		return func(r *run, args []string) error {
			a.data.hasText = fs.Changed("xml-text")
			for _, name := range commandNames {
				if fs.Changed(name) {
					a.commands = append(a.commands, name)
				}
			}
			return a.run(r, args)
		}
	},
}

// changes are the commands that change the CIB.
var changes = map[string]cib.OpKind{
	"upgrade": cib.OpUpgrade, "erase": cib.OpErase, "bump": cib.OpBump, "create": cib.OpCreate, "modify": cib.OpModify,
	"patch": cib.OpPatch, "replace": cib.OpReplace, "delete": cib.OpDelete, "delete-all": cib.OpDeleteAll,
}

func (a *admin) run(r *run, args []string) error {
	if len(a.commands) == 0 {
		return exit.Errorf(exit.Usage, "say what to do, for example --query; --help lists the commands")
	}
	command := a.commands[0]
	switch {
	case len(a.commands) > 1:
		return exit.Errorf(exit.Software, "Call failed: Invalid argument: %v are different commands", a.commands)
	case len(args) > 0 && command != "empty" || len(args) > 1:
		return exit.Errorf(exit.Usage, "non-option ARGV-elements: %v", args)
	case slices.Contains([]string{"erase", "delete-all", "upgrade"}, command) && !a.force:
		return plain(exit.Unsafe, "The supplied command is considered dangerous: it changes more than can be seen from it. Repeat it with --force.")
	}
	ctx, cancel := context.WithTimeout(r.ctx, time.Duration(max(a.timeout, 1))*time.Second)
	defer cancel()
	switch command {
	case "features":
		r.Printf("Pacemaker %s (Build: systole): agent-manpages cibsecrets corosync-ge-2 generated-manpages lha monotonic ncurses remote systemd\n", options.Version)
		return nil
	case "empty":
		root := cib.Empty().Root().With("epoch", "1")
		if len(args) == 1 {
			root = root.With("validate-with", args[0])
		}
		printXML(r.Out, root)
		return nil
	case "md5-sum", "md5-sum-versioned":
		return a.digest(r, command == "md5-sum-versioned")
	case "query":
		return a.query(ctx, r)
	}
	return a.change(ctx, r, changes[command])
}

func (a *admin) query(ctx context.Context, r *run) error {
	src := source.Open(r.Getenv)
	read := src.Read
	if a.local {
		read = src.ReadLocal
	}
	c, err := read(ctx)
	if err != nil {
		return a.failed(src, "query", err)
	}
	if err := a.mayRead(src, c); err != nil {
		return err
	}
	if a.xpath != "" {
		return a.find(src, r, c)
	}
	e := c.Root()
	if slices.Contains(cib.Sections(), a.scope) { // an unknown section is the whole, as it has always been
		if e = c.Section(a.scope); e == nil {
			return a.failed(src, "query", exit.Errorf(exit.NoSuch, "there is no section %s", a.scope))
		}
	}
	printXML(r.Out, a.trimmed(e))
	return nil
}

// mayRead refuses to answer for somebody else where access lists would decide
// what may be seen.
func (a *admin) mayRead(src *source.Source, c *cib.CIB) error {
	me, err := user.Current()
	if a.user == "" || !src.Live() || err == nil && me.Username == a.user {
		return nil
	}
	for set := range c.Section("crm_config").Each("cluster_property_set") {
		for pair := range set.Each("nvpair") {
			if on, _ := cib.ParseBool(pair.Get("value")); pair.Get("name") == "enable-acl" && on {
				return exit.Errorf(exit.Unimplemented, "asking as %s is not offered while access lists are in force: run the command as that user", a.user)
			}
		}
	}
	return nil
}

func (a *admin) trimmed(e *cib.Element) *cib.Element {
	if a.noChildren {
		return e.WithChildren()
	}
	return e
}

func (a *admin) find(src *source.Source, r *run, c *cib.CIB) error {
	x, err := cib.CompileXPath(a.xpath)
	if err != nil {
		return a.failed(src, "query", exit.With(exit.NoSuch, err))
	}
	found, err := x.Find(c.Root())
	switch {
	case err != nil:
		return a.failed(src, "query", exit.With(exit.NoSuch, err))
	case len(found) == 0:
		return a.failed(src, "query", ended(exit.NoSuch))
	case a.paths:
		for _, p := range found {
			r.Println(p.IDPath(c.Root()))
		}
	case len(found) == 1:
		printXML(r.Out, a.trimmed(found[0].In(c.Root())))
	default:
		all := cib.New("xpath-query")
		for _, p := range found {
			all = all.Append(a.trimmed(p.In(c.Root())))
		}
		printXML(r.Out, all)
	}
	return nil
}

func (a *admin) change(ctx context.Context, r *run, kind cib.OpKind) error {
	src := source.Open(r.Getenv)
	op := cib.Op{Kind: kind, Section: a.scope, XPath: a.xpath, AllowCreate: a.allowCreate}
	if a.data.given() {
		data, err := a.data.parse(r)
		switch {
		case err != nil && a.data.hasText:
			return a.failed(src, string(kind), exit.With(exit.NoSuch, err))
		case err != nil:
			return plain(exit.Config, "Couldn't parse input from %s: %v", a.data.name(), err)
		}
		op.Data = data
	}
	if op.Data == nil && (kind == cib.OpCreate || kind == cib.OpModify || kind == cib.OpReplace || kind == cib.OpPatch || (kind == cib.OpDelete || kind == cib.OpDeleteAll) && op.XPath == "") {
		return a.failed(src, string(kind), exit.Errorf(exit.Software, "no XML given: use -X, -x or -p"))
	}
	_, output, err := src.Write(ctx, source.Change{Ops: []cib.Op{op}, Client: "cibadmin"})
	if exit.Of(err) == exit.Exists && op.Data != nil {
		failed := cib.New("failed_update", "id", op.Data.ID(), "object_type", op.Data.Name(), "operation", "cib_"+string(kind), "reason", "File exists").Append(op.Data)
		printXML(r.Out, cib.New("failed").Append(failed))
	}
	if err != nil {
		return a.failed(src, string(kind), err)
	}
	r.Printf("%s", output)
	return nil
}

// callTexts are the words clients look for, by exit status.
var callTexts = map[exit.Code]string{
	exit.NoSuch: "No such device or address", exit.Exists: "File exists", exit.Old: "Update was older than existing configuration",
	exit.Config: "Update does not conform to the configured schema", exit.Software: "Invalid argument", exit.Disconnect: "Transport endpoint is not connected",
	exit.InsufficientPriv: "Permission denied", exit.Timeout: "Timer expired", exit.Quorum: "Quorum required", exit.Error: "Application of update diff failed",
}

// failed words a refusal: first as clients know it, then why.
func (a *admin) failed(src *source.Source, call string, err error) error {
	code := exit.Of(err)
	text, known := callTexts[code]
	if !known {
		return err
	}
	if code == exit.Disconnect {
		return plain(code, "Could not connect to the CIB: %s\n%s", text, err)
	}
	name := "Call"
	if src.Live() {
		name = "Call cib_" + call
	}
	if why := err.Error(); why != "" {
		return plain(code, "%s failed: %s\n%s", name, text, why)
	}
	return plain(code, "%s failed: %s", name, text)
}

func (a *admin) digest(r *run, versioned bool) error {
	if !a.data.given() {
		return plain(exit.Usage, "Please supply XML to process with -X, -x or -p")
	}
	e, err := a.data.parse(r)
	if err != nil {
		return plain(exit.Config, "Couldn't parse input from %s: %v", a.data.name(), err)
	}
	r.Println(Digest(e, versioned))
	return nil
}

// stamped are the attributes of <cib> that the versioned digest leaves out: they say who
// wrote it, not what it says.
var stamped = []string{"origin", "cib-last-written", "update-origin", "update-client", "update-user"}

// Digest is the MD5 sum that Pacemaker's tools compare documents by: of the
// compact XML; on disk with a blank before and a line end after, as it was when the
// format was new, and so too over the wire for a document without crm_feature_set.
func Digest(e *cib.Element, versioned bool) string {
	if versioned && e.Get("crm_feature_set") != "" {
		for _, name := range stamped {
			e = e.Without(name)
		}
		sum := md5.Sum(e.AppendCompact(nil))
		return hex.EncodeToString(sum[:])
	}
	sum := md5.Sum(append(e.AppendCompact([]byte{' '}), '\n'))
	return hex.EncodeToString(sum[:])
}
