package shell

import (
	"context"

	"systole/crm/exit"
	"systole/crm/shell/tools"
)

// siteTicket is crmsh's `site ticket`.
func siteTicket(ctx context.Context, c *call) error {
	verb, ticket := c.args[0], c.args[1]
	args, ok := map[string][]string{
		"grant": {"-g"}, "revoke": {"-r"}, "standby": {"-s"}, "activate": {"-a"},
		"show": {"-G", "granted"}, "time": {"-G", "last-granted"}, "delete": {"-D", "granted"},
	}[verb]
	if !ok {
		return exit.Errorf(exit.Usage, "%q is nothing to do with a ticket; use grant, revoke, standby, activate, show, time or delete", verb)
	}
	args = append([]string{"-t", ticket}, args...)
	if c.set.force {
		args = append(args, "--force")
	}
	return c.change(ctx, "crm_ticket", tools.CrmTicket, args...)
}
