package cibtools

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/cib"
	"systole/crm/shell/tool"
)

const base = `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="7" admin_epoch="1">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="o1" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes>
      <node id="1" uname="a"/>
    </nodes>
    <resources>
      <!-- a comment -->
      <primitive id="p" class="ocf" provider="heartbeat" type="Dummy">
        <operations>
          <op id="p-mon" name="monitor" interval="10s"/>
        </operations>
      </primitive>
      <primitive id="q" class="ocf" provider="heartbeat" type="Dummy"/>
    </resources>
    <constraints>
      <rsc_location id="l1" rsc="p">
        <rule id="past" score="1">
          <date_expression id="e1" operation="lt" end="2020-01-01"/>
        </rule>
      </rsc_location>
      <rsc_location id="l2" rsc="p">
        <rule id="future" score="1">
          <date_expression id="e2" operation="gt" start="2099-01-01"/>
        </rule>
      </rsc_location>
      <rsc_location id="l3" rsc="p">
        <rule id="now" score="1">
          <date_expression id="e3" operation="in_range" start="2020-01-01" end="2099-01-01"/>
        </rule>
      </rsc_location>
      <rsc_location id="l4" rsc="p">
        <rule id="attr" score="1">
          <expression id="e4" attribute="x" operation="defined"/>
        </rule>
      </rsc_location>
      <rsc_location id="l5" rsc="p">
        <rule id="years" score="1">
          <date_expression id="e5" operation="date_spec">
            <date_spec id="s5" years="2010"/>
          </date_expression>
        </rule>
      </rsc_location>
      <rsc_location id="l6" rsc="p">
        <rule id="hours" score="1">
          <date_expression id="e6" operation="date_spec">
            <date_spec id="s6" hours="9"/>
          </date_expression>
        </rule>
      </rsc_location>
    </constraints>
  </configuration>
  <status/>
</cib>
`

// calls are command lines and what Pacemaker 2.1.5 ends and answers with. They
// run in a directory with cib.xml (CIB_file), other.xml and patch.xml.
var calls = []struct {
	argv   string
	status int
	out    string // must be in the standard output; "=" in front: must be all of it
}{
	{`cibadmin`, 64, "="},
	{`cibadmin -Z`, 64, "="},
	{`cibadmin -Ql`, 0, "=" + base},
	{`cibadmin -Q -o crm_config -n`, 0, "=<crm_config/>\n"},
	{`cibadmin -Q -o nonsense -n`, 0, `<cib crm_feature_set="3.16.1"`},
	{`cibadmin -Q -o tags`, 105, "="},
	{`cibadmin -Q --xpath //primitive -n`, 0, "=<xpath-query>\n  <primitive id=\"p\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>\n  <primitive id=\"q\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>\n</xpath-query>\n"},
	{`cibadmin -Q --xpath //op`, 0, "=<op id=\"p-mon\" name=\"monitor\" interval=\"10s\"/>\n"},
	{`cibadmin -Q --xpath //op/@name`, 0, "=<op id=\"p-mon\" name=\"monitor\" interval=\"10s\"/>\n"},
	{`cibadmin -Q --xpath //primitive -e`, 0, "=/cib/configuration/resources/primitive[@id='p']\n/cib/configuration/resources/primitive[@id='q']\n"},
	{`cibadmin -Q --xpath //zz`, 105, "="},
	{`cibadmin -Q --xpath //[`, 105, "="},
	{`cibadmin -a`, 0, `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">`},
	{`cibadmin -a pacemaker-3.1`, 0, `validate-with="pacemaker-3.1"`},
	{`cibadmin -C`, 70, "="},
	{`cibadmin -C -X <a`, 105, "="},
	{`cibadmin -C -x nofile`, 78, "="},
	{`cibadmin -Q -M`, 70, "="},
	{`cibadmin -Q extra`, 64, ""},
	{`cibadmin -M -o resources -X <primitive_id="zz"/>`, 105, "="},
	{`cibadmin -R -X <foo/>`, 105, "="},
	{`cibadmin -C -o resources -X <primitive_id="r"_class="ocf"_provider="heartbeat"_type="Dummy"/>`, 0, "="},
	{`cibadmin -C -o resources -X <primitive_id="p"_class="ocf"_provider="heartbeat"_type="Dummy"/>`, 108, "=<failed>\n  <failed_update id=\"p\" object_type=\"primitive\" operation=\"cib_create\" reason=\"File exists\">\n    <primitive id=\"p\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>\n  </failed_update>\n</failed>\n"},
	{`cibadmin -C -o resources -X <primitive_id="r"_class="ocf"_type="Dummy"/>`, 78, ""},
	{`cibadmin -M --xpath //nvpair -X <nvpair_id="o1"_value="true"/>`, 0, "="},
	{`cibadmin -D -X <primitive_id="q"/>`, 0, "="},
	{`cibadmin -D --xpath //op`, 0, "="},
	{`cibadmin -d --xpath //rsc_location`, 107, "="},
	{`cibadmin -d --force --xpath //rsc_location`, 0, "="},
	{`cibadmin -E`, 107, "="},
	{`cibadmin -E --force`, 0, "="},
	{`cibadmin -u`, 107, "="},
	{`cibadmin --upgrade --force`, 0, "="},
	{`cibadmin --replace --xml-file other.xml`, 0, "="},
	{`cibadmin --replace --scope=resources --xml-file other.xml`, 0, "="},
	{`cibadmin --patch --verbose --xml-file patch.xml`, 0, "="},
	{`cibadmin -5 -x cib.xml`, 0, ""},
	{`cibadmin -6 -x cib.xml`, 0, ""},
	{`cibadmin -5`, 64, "="},

	{`crm_diff -o cib.xml -n cib.xml`, 0, "="},
	{`crm_diff -u -o cib.xml -n other.xml`, 1, "=" + `<diff format="2">
  <change operation="modify" path="/cib/configuration/crm_config/cluster_property_set[@id=&apos;cib-bootstrap-options&apos;]/nvpair[@id=&apos;o1&apos;]">
    <change-list>
      <change-attr name="value" operation="set" value="true"/>
    </change-list>
    <change-result>
      <nvpair id="o1" name="stonith-enabled" value="true"/>
    </change-result>
  </change>
  <change operation="create" path="/cib/configuration/resources" position="3">
    <primitive id="r" class="ocf" provider="heartbeat" type="Dummy"/>
  </change>
</diff>
`},
	{`crm_diff --original cib.xml --new other.xml`, 1, `<source admin_epoch="1" epoch="5" num_updates="7"/>`},
	{`crm_diff -c -o cib.xml -n other.xml`, 1, `<diff format="2" digest="`},
	{`crm_diff -c -u -o cib.xml -n other.xml`, 64, "="},
	{`crm_diff -o cib.xml -p patch.xml`, 0, `<primitive id="r"`},
	{`crm_diff -o cib.xml`, 65, "="},
	{`crm_diff -o nofile -n cib.xml`, 65, "="},
	{`crm_diff -X`, 64, "="},

	{`crm_verify -x cib.xml`, 0, "="},
	{`crm_verify -x cib.xml -V`, 0, "="},
	{`crm_verify -L`, 0, "="},
	{`crm_verify -VV -x statusless.xml`, 0, "="},
	{`crm_verify`, 1, "="},
	{`crm_verify -X <foo/>`, 76, "="},
	{`crm_verify -x unfenced.xml`, 78, "="},
	{`crm_verify -x broken.xml`, 78, "="},
	{`crm_verify --output-as=xml -x broken.xml`, 78, "=<pacemaker-result api-version=\"2.25\" request=\"crm_verify --output-as=xml -x broken.xml\">\n  <status code=\"78\" message=\"Invalid configuration\"/>\n</pacemaker-result>\n"},

	{`crm_rule -c -r past`, 110, "=Rule past is expired\n"},
	{`crm_rule -c -r future`, 111, "=Rule future has not yet taken effect\n"},
	{`crm_rule -c -r now`, 0, "=Rule now is still in effect\n"},
	{`crm_rule -c -r attr`, 3, "="},
	{`crm_rule -c -r years`, 110, "=Rule years is expired\n"},
	{`crm_rule -c -r years -d 2010-05-01`, 0, "=Rule years satisfies conditions\n"},
	{`crm_rule -c -r years -d 2005-05-01`, 111, "=Rule years has not yet taken effect\n"},
	{`crm_rule -c -r hours`, 3, "="},
	{`crm_rule -c -r zz`, 105, "="},
	{`crm_rule -c -r past -r now`, 0, "=Rule past is expired\nRule now is still in effect\n"},
	{`crm_rule -c -r past -d 2019-01-01`, 0, "=Rule past is still in effect\n"},
	{`crm_rule -c -r past -d bad`, 65, "="},
	{`crm_rule -c`, 64, "="},
	{`crm_rule -r past`, 64, "="},
	{`crm_rule -c -r now -r past --output-as=xml`, 110, "=<pacemaker-result api-version=\"2.25\" request=\"crm_rule -c -r now -r past --output-as=xml\">\n  <rule-check rule-id=\"now\" rc=\"0\"/>\n  <rule-check rule-id=\"past\" rc=\"110\"/>\n  <status code=\"110\" message=\"Requested item has expired\"/>\n</pacemaker-result>\n"},
	{`crm_rule -c -r zz --output-as=xml`, 105, "<error>Could not determine whether rule zz is in effect: Rule not found</error>"},

	{`crm_error 6`, 0, "=No such device or address\n"},
	{`crm_error -n 6`, 0, "=ENXIO - No such device or address\n"},
	{`crm_error -- -6`, 0, "=No such device or address\n"},
	{`crm_error 1000`, 0, "=Unknown error 1000\n"},
	{`crm_error -X 105 103`, 0, "=No such object\nUpdate was older than existing configuration\n"},
	{`crm_error -X -n 105`, 0, "=CRM_EX_NOSUCH - No such object\n"},
	{`crm_error -X 200`, 0, "=Interrupted by signal\n"},
	{`crm_error -X x`, 0, "=Unknown exit status\n"},
	{`crm_error --output-as=xml -X 105`, 0, "=<pacemaker-result api-version=\"2.25\" request=\"crm_error --output-as=xml -X 105\">\n  <result-code code=\"105\" description=\"No such object\"/>\n  <status code=\"0\" message=\"OK\"/>\n</pacemaker-result>\n"},
	{`crm_error -X -l`, 0, "  105: No such object\n"},

	{`iso8601 -d 2024-01-01 -E 2024-01-01_00:00:00Z`, 0, "=Date: 2024-01-01 00:00:00Z\n"},
	{`iso8601 -d 2024-01-01 -E x`, 1, "=Date: 2024-01-01 00:00:00Z\n"},
	{`iso8601 -d 2024-01-01 -D P1D -E 2024-01-02_00:00:00Z`, 0, "=Date: 2024-01-01 00:00:00Z\nDuration:  1 day \nDuration ends at: 2024-01-02 00:00:00Z\n"},
	{`iso8601 -D P1Y2M3DT4H5M6S`, 0, "=Duration:    1 year  2 months  3 days 14706 seconds (4 hours 5 minutes 6 seconds)\n"},
	{`iso8601 -D P2W`, 0, "=Duration: 14 days \n"},
	{`iso8601 -D P0D`, 0, "=Duration: 0 seconds\n"},
	{`iso8601 -D PT120S`, 0, "=Duration: 120 seconds (2 minutes)\n"},
	{`iso8601 -d 2024-12-30_01:02:03Z -s`, 0, "=Date: 63871117323\n"},
	{`iso8601 -d 2024-12-30_01:02:03Z -S`, 0, "=Date: 1735520523\n"},
	{`iso8601 -d 2024-12-30_01:02:03Z -O`, 0, "=Date: 2024-365 01:02:03Z\n"},
	{`iso8601 -d 2024-12-30_01:02:03Z -W`, 0, "=Date: 2025-W01-1 01:02:03Z\n"},
	{`iso8601 -d 2024-07-01_12:00:00_-05:00 -L`, 0, "=Date: 2024-07-01 12:00:00 -05:00\n"},
	{`iso8601 -d 2024-07-01_12:00:00_-05:00 -O`, 0, "=Date: 2024-183 17:00:00Z\n"},
	{`iso8601 -p 2024-01-01/P1M`, 0, "=Period: 2024-01-01 00:00:00Z to 2024-02-01 00:00:00Z\n"},
	{`iso8601 -d bad`, 2, "="},
	{`iso8601 --bogus`, 64, "="},

	{`crm_shadow`, 64, "="},
	{`crm_shadow -w`, 105, "="},
	{`crm_shadow -F`, 105, "="},
	{`crm_shadow -b -e t1`, 0, "=Created new pacemaker-3.9 configuration\nSetting up shadow instance\nA new shadow instance was created.  To begin using it paste the following into your shell:\n  CIB_shadow=t1 ; export CIB_shadow\n"},
	{`crm_shadow -b -c t3`, 0, "=Setting up shadow instance\nA new shadow instance was created.  To begin using it paste the following into your shell:\n  CIB_shadow=t3 ; export CIB_shadow\n"},
	{`crm_shadow -b -s zz`, 105, "="},
	{`crm_shadow -b -D zz`, 64, "="},
	{`crm_shadow -b -D zz --force`, 0, "=Please remember to unset the CIB_shadow variable by pasting the following into your shell:\n  unset CIB_shadow\n"},
}

var tools = map[string]tool.Tool{
	"cibadmin": Cibadmin, "crm_diff": CrmDiff, "crm_verify": CrmVerify, "crm_shadow": CrmShadow,
	"iso8601": ISO8601, "crm_error": CrmError, "crm_rule": CrmRule,
}

// workplace is a directory with the documents the calls name.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	other := strings.Replace(strings.Replace(base, `value="false"`, `value="true"`, 1), `    </resources>`, `      <primitive id="r" class="ocf" provider="heartbeat" type="Dummy"/>`+"\n    </resources>", 1)
	parse := func(text string) *cib.Element {
		e, err := cib.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	patch := cib.Diff(parse(base), parse(other))
	patch.Source, patch.Target = nil, nil
	for name, text := range map[string]string{
		"cib.xml": base, "other.xml": other, "patch.xml": patch.XML().String(),
		"unfenced.xml":   strings.Replace(base, `value="false"`, `value="true"`, 1),
		"statusless.xml": strings.Replace(base, "  <status/>\n", "", 1),
		"broken.xml":     strings.Replace(base, `id="q"`, `id="p"`, 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "shadows"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// words of a command line; in XML and dates _ is a blank.
func words(argv string) []string {
	args := strings.Fields(argv)
	for i, word := range args {
		if strings.HasPrefix(word, "<") || '0' <= word[0] && word[0] <= '9' {
			args[i] = strings.ReplaceAll(word, "_", " ")
		}
	}
	return args
}

// outcome of one call: what a script sees.
type outcome struct {
	status   int
	out, err string
	cib      *cib.Element // the file afterwards
}

func finish(t *testing.T, dir string, o outcome) outcome {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(dir, "cib.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if o.cib, err = cib.Parse(doc); err != nil {
		t.Fatal(err)
	}
	return o
}

func ours(t *testing.T, argv string, env map[string]string) outcome {
	dir := workplace(t)
	t.Chdir(dir)
	var out, errOut bytes.Buffer
	args := words(argv)
	stdio := &tool.IO{In: strings.NewReader(""), Out: &out, Err: &errOut, Name: args[0], Env: func(name string) string {
		if v, ok := env[name]; ok {
			return v
		}
		return map[string]string{"CIB_file": "cib.xml", "CIB_shadow_dir": "shadows"}[name]
	}}
	status := tools[args[0]](t.Context(), stdio, args[1:])
	return finish(t, dir, outcome{status: status, out: out.String(), err: errOut.String()})
}

func TestCalls(t *testing.T) {
	for _, c := range calls {
		t.Run(c.argv, func(t *testing.T) {
			got := ours(t, c.argv, nil)
			if got.status != c.status {
				t.Errorf("status %d, want %d; %s%s", got.status, c.status, got.out, got.err)
			}
			if want, all := strings.CutPrefix(c.out, "="); all && got.out != want || !strings.Contains(got.out, want) {
				t.Errorf("output\n%s\nwant\n%s", got.out, want)
			}
			if c.status >= 64 && got.err == "" && !strings.HasPrefix(c.argv, "crm_rule") && !strings.Contains(c.argv, "--output-as") {
				t.Error("refused without a word")
			}
		})
	}
}

// TestAsPacemaker runs the same calls with the genuine tools. They are what
// this project replaces, so the test says so where there are none.
func TestAsPacemaker(t *testing.T) {
	if _, err := exec.LookPath("/usr/sbin/cibadmin"); err != nil {
		t.Skip("no /usr/sbin/cibadmin (Debian: pacemaker-cli-utils) to compare with; TestCalls holds what it answered")
	}
	for _, c := range calls {
		t.Run(c.argv, func(t *testing.T) {
			mine := ours(t, c.argv, nil)
			theirs := genuine(t, c.argv)
			if mine.status != theirs.status {
				t.Errorf("status %d, theirs %d: %s", mine.status, theirs.status, theirs.err)
			}
			if all := strings.HasPrefix(c.out, "="); all && mine.out != strings.TrimPrefix(theirs.out, "<?xml version=\"1.0\"?>\n") {
				t.Errorf("output\n%s\ntheirs\n%s", mine.out, theirs.out)
			}
			if !cib.Equal(unstamped(mine.cib), unstamped(theirs.cib)) {
				t.Errorf("file\n%s\ntheirs\n%s", mine.cib, theirs.cib)
			}
		})
	}
}

// A shadow's life: made, changed, compared, committed, deleted.
func TestShadow(t *testing.T) {
	dir := workplace(t)
	t.Chdir(dir)
	call := func(shadow string, args ...string) outcome {
		t.Helper()
		var out, errOut bytes.Buffer
		env := map[string]string{"CIB_file": "cib.xml", "CIB_shadow_dir": "shadows", "CIB_shadow": shadow}
		stdio := &tool.IO{In: strings.NewReader(""), Out: &out, Err: &errOut, Name: args[0], Env: func(name string) string { return env[name] }}
		return outcome{status: tools[args[0]](t.Context(), stdio, args[1:]), out: out.String(), err: errOut.String()}
	}
	for _, step := range []struct {
		shadow, argv string
		status       int
		out          string
	}{
		{"", "crm_shadow -b -c t", 0, "CIB_shadow=t"},
		{"", "crm_shadow -b -c t", 73, ""},
		{"t", "crm_shadow --which", 0, "t\n"},
		{"t", "crm_shadow --file", 0, "shadows/shadow.t\n"},
		{"t", "crm_shadow --diff", 0, ""},
		{"t", `cibadmin -M --xpath //nvpair -X <nvpair_id="o1"_value="true"/>`, 0, ""},
		{"t", `cibadmin -D -X <primitive_id="q"/>`, 0, ""},
		{"t", "crm_shadow --diff", 1, "Diff: --- 1.5.7 2\nDiff: +++ 1.7.0 (null)\n-- /cib/configuration/resources/primitive[@id='q']\n+  /cib:  @epoch=7, @num_updates=0"},
		{"t", "crm_shadow --display", 0, `value="true"`},
		{"", "cibadmin -Q --xpath //nvpair", 0, `value="false"`},
		{"", "crm_shadow -b --commit t", 64, ""},
		{"", "crm_shadow -b --commit t --force", 0, ""},
		{"", "cibadmin -Q --xpath //nvpair", 0, `value="true"`},
		{"", "crm_shadow -b --reset t", 0, ""},
		{"", "crm_shadow -b --switch t", 0, "CIB_shadow=t"},
		{"", "crm_shadow -b --delete t --force", 0, "unset CIB_shadow"},
		{"", "crm_shadow -b --switch t", 105, ""},
		{"", "crm_shadow -b --create a/b", 64, ""},
		{"", "crm_shadow -b -e old -v pacemaker-2.0", 0, "Created new pacemaker-2.0 configuration"},
		{"", "crm_shadow -b -e odd -v nonsense", 64, ""},
	} {
		got := call(step.shadow, words(step.argv)...)
		if got.status != step.status || !strings.Contains(got.out, step.out) {
			t.Fatalf("%s: %d %s%s, want %d %s", step.argv, got.status, got.out, got.err, step.status, step.out)
		}
	}
}

// What is wrong is said where crmsh looks for it, and in proportion to -V.
func TestVerifySays(t *testing.T) {
	for argv, want := range map[string]string{
		"crm_verify -x broken.xml":      "broken.xml:18: element primitive: validity error : the id \"p\" is used twice",
		"crm_verify -x unfenced.xml":    "-V may provide more details",
		"crm_verify -V -x unfenced.xml": "(verify) \terror: property: stonith-enabled is true and there is no fence device",
		"crm_verify -VVV -x cib.xml":    "",
	} {
		got := ours(t, argv, nil)
		if !strings.Contains(got.err, want) || want == "" && got.err != "" {
			t.Errorf("%s: %s", argv, got.err)
		}
	}
}

// unstamped leaves out who wrote the file and when.
func unstamped(root *cib.Element) *cib.Element {
	for _, name := range stamped {
		root = root.Without(name)
	}
	return root
}

func genuine(t *testing.T, argv string) outcome {
	dir := workplace(t)
	args := words(argv)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/sbin/"+args[0], args[1:]...)
	cmd.Args[0], cmd.Dir = args[0], dir
	cmd.Env = []string{"CIB_file=cib.xml", "CIB_shadow_dir=shadows", "LC_ALL=C", "TZ=UTC", "PATH=/usr/sbin:/usr/bin:/bin", "HOME=" + dir}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	status := 0
	if exited, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exited.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return finish(t, dir, outcome{status: status, out: out.String(), err: errOut.String()})
}
