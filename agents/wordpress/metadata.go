package wordpress

import "systole/resources"

// Metadata describes the agent.
var Metadata = resources.Metadata{
	Name: "wordpress", Version: "1.0", API: "1.0",
	Short: "Makes a node able to serve a WordPress site",
	Long: "A clone on the web nodes of a site. A start checks the site's files, writes its configuration with the database password from a secret, " +
		"waits for the database, installs the site if that is wished and not done, and sees pages rendered. Monitors look after all that. " +
		"A database that does not answer makes an instance degraded and does not restart it: that is the database's own resource's business.",
	Parameters: []resources.Parameter{
		{Name: "docroot", Type: resources.ParamString, Default: "/usr/share/wordpress", Short: "Site files", Long: "The directory with WordPress's files."},
		{Name: "content_dir", Type: resources.ParamString, Short: "Content directory", Long: "WP_CONTENT_DIR; left out, wp-content below docroot."},
		{Name: "uploads", Type: resources.ParamString, Short: "Directory of uploads", Long: "The directory that must be writable by the user; left out, uploads below the content directory."},
		{Name: "config", Type: resources.ParamString, Short: "Configuration file to write",
			Long: "Left out, wp-config.php below docroot. Debian's package has one of its own, which reads /etc/wordpress/config-default.php: name that. " +
				"A file that this agent has not written is never overwritten."},
		{Name: "url", Type: resources.ParamString, Required: true, Short: "Address of the site", Long: "The address of the site, as browsers see it: http://blog.example.org"},
		{Name: "db_host", Type: resources.ParamString, Default: "localhost", Short: "Database host", Long: "host, host:port, or host:/path/of/socket, as WordPress takes it."},
		{Name: "db_name", Type: resources.ParamString, Default: "wordpress", Short: "Database name", Long: "The database of the site."},
		{Name: "db_user", Type: resources.ParamString, Default: "wordpress", Short: "Database user", Long: "The user of that database."},
		{Name: "db_password", Type: resources.ParamString, Private: true, Short: "Database password", Long: "The user's password: crm resource secret set. It is only kept in a file below /run that goes away at stop and with a boot."},
		{Name: "auth_secret", Type: resources.ParamString, Private: true, Short: "Secret of sessions",
			Long: "What the keys and salts that sign sessions are made from, the same on all nodes; left out, the database password."},
		{Name: "table_prefix", Type: resources.ParamString, Default: "wp_", Short: "Prefix of tables", Long: "The prefix of the site's tables."},
		{Name: "user", Type: resources.ParamString, Default: "www-data", Short: "User of PHP", Long: "The user PHP runs as."},
		{Name: "group", Type: resources.ParamString, Default: "www-data", Short: "Group of PHP", Long: "The group PHP runs as; it may read the password."},
		{Name: "fpm", Type: resources.ParamString, Short: "php-fpm to ask", Long: "Address of the php-fpm pool that is asked for pages over FastCGI: /run/php/php8.2-fpm.sock or 127.0.0.1:9000."},
		{Name: "address", Type: resources.ParamString, Short: "Web server to ask", Long: "host:port of the web server that is asked for pages instead, with the name of url: 127.0.0.1:80."},
		{Name: "post", Type: resources.ParamInteger, Short: "Post that must render", Long: "Number of a post that must render, beside the login page."},
		{Name: "post_regex", Type: resources.ParamString, Short: "What the post must contain", Long: "A regular expression the rendered post must match."},
		{Name: "install", Type: resources.ParamBoolean, Default: "false", Short: "Install the site",
			Long: "Whether to install the site if the database does not have it yet. One node does it, the others wait."},
		{Name: "title", Type: resources.ParamString, Default: "WordPress", Short: "Title of a new site", Long: "The title of a site that is installed."},
		{Name: "admin_user", Type: resources.ParamString, Default: "admin", Short: "Administrator of a new site", Long: "The administrator of a site that is installed."},
		{Name: "admin_password", Type: resources.ParamString, Private: true, Short: "The administrator's password", Long: "Needed to install: crm resource secret set."},
		{Name: "admin_email", Type: resources.ParamString, Default: "root@localhost.localdomain", Short: "The administrator's mail address", Long: "The mail address of the administrator of a site that is installed."},
		{Name: "php", Type: resources.ParamString, Default: "/usr/bin/php", Short: "PHP program", Long: "The PHP command-line program, for installing."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "120s"},
		{Name: "stop", Timeout: "20s"},
		{Name: "status", Timeout: "40s"},
		{Name: "monitor", Timeout: "40s", Interval: "20s", Depth: "0"},
		{Name: "monitor", Timeout: "40s", Interval: "60s", Depth: "10"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "20s"},
	},
}
