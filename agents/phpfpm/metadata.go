package phpfpm

import "systole/resources"

// Metadata describes the agent.
var Metadata = resources.Metadata{
	Name: "php-fpm", Version: "1.0", API: "1.0",
	Short: "Manages PHP's FastCGI process manager",
	Long: "Tests the configuration, starts php-fpm and waits until every pool answers, watches its master process, asks the pools over FastCGI, " +
		"and lets requests finish at stop.",
	Parameters: []resources.Parameter{
		{Name: "phpfpm", Type: resources.ParamString, Short: "Program",
			Long: "The program; left out, /usr/sbin/php-fpm or the newest /usr/sbin/php-fpmX.Y."},
		{Name: "config", Type: resources.ParamString, Unique: true, Short: "Configuration file",
			Long: "The configuration file; left out, the distribution's: /etc/php/X.Y/fpm/php-fpm.conf or /etc/php-fpm.conf."},
		{Name: "pid", Type: resources.ParamString, Unique: true, Short: "Pid file",
			Long: "The pid file; left out, the one the configuration names, else /run/php-fpm.pid."},
		{Name: "options", Type: resources.ParamString, Short: "Further options", Long: "Options for the program, separated by blanks: -c /etc/php/site.ini."},
		{Name: "pools", Type: resources.ParamString, Short: "Pools that must answer",
			Long: "Addresses of pools, separated by blanks, that every monitor asks. Left out, all pools of the configuration are asked, " +
				"at start and by monitors of check level 10 and more."},
		{Name: "max_listen_queue", Type: resources.ParamInteger, Default: "0", Short: "Waiting requests that mean trouble",
			Long: "A monitor of check level 10 fails when more requests than this wait in a pool that has a status page; 0 for any number."},
		{Name: "graceful", Type: resources.ParamTime, Default: "5s", Short: "Time to finish requests at stop",
			Long: "How long a stop waits for requests being served before it ends them. php-fpm also has process_control_timeout for that."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "40s"},
		{Name: "stop", Timeout: "60s"},
		{Name: "reload", Timeout: "40s"},
		{Name: "status", Timeout: "30s"},
		{Name: "monitor", Timeout: "30s", Interval: "10s", Depth: "0"},
		{Name: "monitor", Timeout: "30s", Interval: "30s", Depth: "10"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "20s"},
	},
}
