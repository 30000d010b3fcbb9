package template

import (
	"strings"
	"testing"
)

const rendered = `# web-1 and web-2, and web-1 alone
node web-1 at 10.0.0.1, with 10.0.0.11 beside it
  real 10.0.0.1;\
  real 10.0.0.2" \
web-11 is another, as my-web-1x
rule #uname ne web-1 and #uname ne web-2
port=80 path=/80 :80
swapped eth1 eth0
`

// One text through all that can happen to it.
func TestRender(t *testing.T) {
	for _, c := range []struct {
		site [][]string
		want string
	}{
		{[][]string{{"a", "9.1"}}, `# a, and a alone
  real 9.1" \
web-11 is another, as my-web-1x
rule #uname ne a
`},
		{[][]string{{"web-2", "9.2"}, {"web-1", "9.1"}}, `# web-2 and web-1, and web-2 alone
node web-2 at 9.2, with 10.0.0.11 beside it
  real 9.2;\
  real 9.1" \
web-11 is another, as my-web-1x
rule #uname ne web-2 and #uname ne web-1
`},
		{[][]string{{"a", "9.1"}, {"b", "9.2"}, {"c", "9.3"}}, `# a and b and c, and a alone
node a at 9.1, with 10.0.0.11 beside it
node b at 9.2, with 10.0.0.11 beside it
  real 9.1;\
  real 9.2;\
  real 9.3" \
web-11 is another, as my-web-1x
rule #uname ne a and #uname ne b and #uname ne c
`},
	} {
		l := &list{example: [][]string{{"web-1", "10.0.0.1"}, {"web-2", "10.0.0.2"}}, site: c.site}
		literals := []literal{{text: "port=80", value: "port=81"}, {text: ":80", value: ":81"}, {text: "eth0", value: "eth1"}, {text: "eth1", value: "eth0"}}
		for i, n := range l.example {
			for j, text := range n {
				literals = append(literals, literal{text: text, list: l, node: i, field: j})
			}
		}
		c.want += "port=81 path=/80 :81\nswapped eth0 eth1\n"
		got, err := render(File{"site.crm", rendered}, literals)
		if err != nil || got != c.want {
			t.Errorf("for %d nodes, %v:\n%s\nwant:\n%s", len(c.site), err, got, c.want)
		}
		if len(c.site) == len(l.example) {
			continue
		}
		if _, err := render(File{"site.crm", "web-2 before web-1\n"}, literals); err == nil || !strings.Contains(err.Error(), "site.crm:1 ") {
			t.Errorf("nodes out of turn, %d of them: %v", len(c.site), err)
		}
		if got, err := render(File{"README.md", "web-1\n"}, literals); err != nil || strings.Count(got, "\n") != 1 {
			t.Errorf("a page gets other lines: %q, %v", got, err)
		}
	}
}
