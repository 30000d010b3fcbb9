package tools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"
	"systole/crm/cib"
	"systole/crm/cluster"
	"systole/crm/exit"
	"systole/crm/secret"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// Cibsecret is cibsecret: parameters whose values are not in the CIB.
func Cibsecret(ctx context.Context, stdio *tool.IO, args []string) int {
	return cibsecret.tool()(ctx, stdio, args)
}

var cibsecret = command{
	name:  "cibsecret",
	about: "keep parameters of resources out of the CIB",
	notes: `
Commands:
  set RESOURCE PARAMETER [VALUE]   keep a value; without VALUE it is asked for, or read from standard input
  get RESOURCE PARAMETER           print the value
  check RESOURCE PARAMETER         see that the CIB refers to a secret, and that it is known here
  stash RESOURCE PARAMETER         make a secret of a value that stands in the CIB
  unstash RESOURCE PARAMETER       put the value back into the CIB
  delete RESOURCE PARAMETER        delete the secret, and the parameter
  sync                             send all secrets to all nodes (they also do it by themselves)

Example: give a database its password without leaving it in the shell's history
  cibsecret set db test_passwd < /root/password
`,
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		apart := fs.BoolP("no-cib", "C", false, "neither read nor write the CIB")
		return func(p *program, args []string) error { return runSecret(p, args, *apart) }
	},
}

// secretCall is one command about one secret.
type secretCall struct {
	*program
	key   secret.Key
	apart bool // from the CIB
	admin secret.Admin
}

func runSecret(p *program, args []string, apart bool) error {
	if len(args) == 0 {
		return exit.Errorf(exit.Usage, "say what to do: set, get, check, stash, unstash, delete or sync")
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	c := &secretCall{program: p, apart: apart, admin: secret.Admin{API: client}}
	verb, args := args[0], args[1:]
	if verb == "sync" && len(args) == 0 {
		late, err := c.admin.Sync(p.ctx)
		return c.spread(late, err)
	}
	run, known := map[string]func([]string) error{
		"set": c.set, "get": c.get, "check": c.check, "stash": c.stash, "unstash": c.unstash, "delete": c.delete,
	}[verb]
	if !known {
		return exit.Errorf(exit.Usage, "%q is no command: use set, get, check, stash, unstash, delete or sync", verb)
	}
	if len(args) < 2 || (len(args) > 2 && verb != "set") || len(args) > 3 {
		return exit.Errorf(exit.Usage, "write %s RESOURCE PARAMETER", verb)
	}
	if apart && (verb == "stash" || verb == "unstash") {
		return exit.Errorf(exit.Usage, "%s moves a value between the CIB and the secrets: it cannot be used with -C", verb)
	}
	c.key = secret.Key{Resource: args[0], Parameter: args[1]}
	if err := c.key.Check(); err != nil {
		return exit.With(exit.Usage, err)
	}
	return run(args[2:])
}

// spread tells which nodes are late.
func (c *secretCall) spread(s secret.Spread, err error) error {
	if err != nil {
		return source.Coded(err)
	}
	if len(s.Late) > 0 {
		c.IO.Errorf("%s", s)
	}
	return nil
}

// inCIB is the parameter as the CIB has it.
func (c *secretCall) inCIB() (value string, there bool, err error) {
	doc, err := c.src.Read(c.ctx)
	if err != nil {
		return "", false, err
	}
	e, _ := change.Resource(doc.Root(), c.key.Resource)
	if e == nil {
		return "", false, c.noResource()
	}
	found := change.Find(e, change.Attr{Tag: "instance_attributes", Name: c.key.Parameter})
	if len(found) == 0 {
		return "", false, nil
	}
	return found[0].Value, true, nil
}

func (c *secretCall) noResource() error {
	return exit.Errorf(exit.NoSuch, "Resource '%s' not found", c.key.Resource)
}

// write gives the parameter a value in the CIB; "" takes it away.
func (c *secretCall) write(value string) error {
	_, _, err := c.src.Update(c.ctx, source.Change{Client: "cibsecret"}, func(root *cib.Element) (*cib.Element, error) {
		e, _ := change.Resource(root, c.key.Resource)
		if e == nil {
			return nil, c.noResource()
		}
		at := change.ResourceAttr("instance_attributes", e.ID(), c.key.Parameter)
		if value == "" {
			changed, _, _ := change.Delete(e, at)
			return change.With(root, e, changed), nil
		}
		changed, _, _ := change.Set(e, at, value)
		return change.With(root, e, changed), nil
	})
	return err
}

// keep stores a value, then has the CIB refer to it: a reference is never
// there before what it refers to.
func (c *secretCall) keep(value []byte) error {
	if err := c.spread(c.admin.Set(c.ctx, secret.Change{Key: c.key, Value: value})); err != nil || c.apart {
		return err
	}
	return c.write(secret.Reference)
}

func (c *secretCall) set(args []string) error {
	if !c.apart {
		switch now, there, err := c.inCIB(); {
		case err != nil:
			return err
		case there && now != secret.Reference:
			return exit.Errorf(exit.Exists, "the CIB has a value for %s of %s: use stash, or delete it there first", c.key.Parameter, c.key.Resource)
		}
	}
	value, err := c.value(args)
	if err != nil {
		return err
	}
	return c.keep(value)
}

// maxTyped bounds a value read from a stream.
const maxTyped = 64 << 10

// value is the argument, what is typed unseen, or what standard input holds.
func (c *secretCall) value(args []string) (cluster.Secret, error) {
	if len(args) == 1 && args[0] != "-" {
		return []byte(args[0]), nil
	}
	var b []byte
	var err error
	if f, ok := c.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(c.Err, "Value of %s of %s: ", c.key.Parameter, c.key.Resource)
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.Err)
	} else {
		b, err = io.ReadAll(io.LimitReader(c.In, maxTyped+1))
		b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	}
	if err == nil && len(b) == 0 {
		err = exit.Errorf(exit.Usage, "no value was given")
	}
	return b, err
}

func (c *secretCall) get([]string) error {
	v, err := c.admin.Get(c.ctx, c.key)
	if err != nil {
		return source.Coded(err)
	}
	c.Println(string(v.Value))
	return nil
}

func (c *secretCall) check([]string) error {
	if _, err := c.admin.Get(c.ctx, c.key); err != nil {
		return source.Coded(err)
	}
	if c.apart {
		return nil
	}
	now, there, err := c.inCIB()
	if err == nil && (!there || now != secret.Reference) {
		err = exit.Errorf(exit.Config, "the CIB does not refer to the secret: set %s of %s to %s", c.key.Parameter, c.key.Resource, secret.Reference)
	}
	return err
}

func (c *secretCall) stash([]string) error {
	now, there, err := c.inCIB()
	switch {
	case err != nil:
		return err
	case !there:
		return exit.Errorf(exit.NoSuch, "the CIB has no parameter %s of %s", c.key.Parameter, c.key.Resource)
	case now == secret.Reference:
		return exit.Errorf(exit.Exists, "%s of %s is a secret already", c.key.Parameter, c.key.Resource)
	}
	if err := c.keep([]byte(now)); err != nil {
		return err
	}
	c.IO.Errorf("the configuration's history still holds the value: change it if others may read that")
	return nil
}

func (c *secretCall) unstash([]string) error {
	v, err := c.admin.Get(c.ctx, c.key)
	if err != nil {
		return source.Coded(err)
	}
	if err := c.write(string(v.Value)); err != nil {
		return err
	}
	return c.spread(c.admin.Set(c.ctx, secret.Change{Key: c.key, Delete: true}))
}

// delete takes the reference away first: what refers to a secret finds it.
func (c *secretCall) delete([]string) error {
	if !c.apart {
		now, there, err := c.inCIB()
		if err == nil && there && now == secret.Reference {
			err = c.write("")
		}
		if err != nil && exit.Of(err) != exit.NoSuch {
			return err
		}
	}
	return c.spread(c.admin.Set(c.ctx, secret.Change{Key: c.key, Delete: true}))
}

// SecretArgs are the arguments of cibsecret for "crm resource secret", which takes
// the verb first, or after the resource as crmsh does.
func SecretArgs(args []string) []string {
	const verbs = " set get check stash unstash delete "
	if len(args) > 1 && strings.Contains(verbs, " "+args[1]+" ") && !strings.Contains(verbs, " "+args[0]+" ") {
		return append([]string{args[1], args[0]}, args[2:]...)
	}
	return args
}
