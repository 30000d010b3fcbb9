package nginx

import "systole/resources"

// Metadata describes the agent. The names are those of ocf:heartbeat:nginx.
var Metadata = resources.Metadata{
	Name: "nginx", Version: "1.0", API: "1.0",
	Short: "Manages an nginx web or proxy server",
	Long:  "Tests the configuration, starts nginx and waits until it answers, watches its master process, and stops it gracefully first.",
	Parameters: []resources.Parameter{
		{Name: "configfile", Type: resources.ParamString, Unique: true, Short: "Configuration file",
			Long: "The configuration file; left out, the one nginx was built with."},
		{Name: "httpd", Type: resources.ParamString, Default: "/usr/sbin/nginx", Short: "Program",
			Long: "The nginx program."},
		{Name: "port", Type: resources.ParamInteger, Short: "Port that must answer",
			Long: "If set, the start waits until a connection to this port of the local host, or of status10url's, is accepted."},
		{Name: "status10url", Type: resources.ParamString, Short: "URL that must answer",
			Long: "If set, the start waits until this URL answers with success, and monitors of check level 10 and more ask for it."},
		{Name: "status10regex", Type: resources.ParamString, Default: "", Short: "What the answer must contain",
			Long: "A regular expression the answer of status10url must match; left out, any answer with success will do."},
		{Name: "testclient", Type: resources.ParamString, Short: "HTTP client (not used)",
			Long: "Accepted for the sake of existing configurations: this agent asks by itself."},
		{Name: "test20url", Type: resources.ParamString, Short: "Page that monitors of check level 20 ask for",
			Long: "If set, monitors of check level 20 and more also ask for this page: a URL, or a path on the server of status10url or port."},
		{Name: "test20regex", Type: resources.ParamString, Short: "What that page must contain",
			Long: "A regular expression the page of test20url must match, in upper or lower case."},
		{Name: "external_monitor30_cmd", Type: resources.ParamString, Short: "Program that monitors of check level 30 run",
			Long: "If set, monitors of check level 30 also run this program with its arguments, separated by blanks; quotes keep blanks, and there is no shell. It must end with 0."},
		{Name: "options", Type: resources.ParamString, Short: "Further options",
			Long: "Options for the program, separated by blanks; quotes keep blanks: -g 'worker_processes 2;'."},
		{Name: "graceful", Type: resources.ParamTime, Default: "1s", Short: "Time to finish requests at stop",
			Long: "How long a stop waits for requests being served before it ends them."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "40s"},
		{Name: "stop", Timeout: "60s"},
		{Name: "reload", Timeout: "40s"},
		{Name: "status", Timeout: "30s"},
		{Name: "monitor", Timeout: "30s", Interval: "10s", Depth: "0"},
		{Name: "monitor", Timeout: "30s", Interval: "30s", Depth: "10"},
		{Name: "monitor", Timeout: "45s", Depth: "20"},
		{Name: "monitor", Timeout: "60s", Depth: "30"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "20s"},
	},
}
