package mysql

import "systole/resources"

// Metadata describes the agent. The names are those of ocf:heartbeat:mysql;
// binary may also be its mysqld_safe, then the server beside it is run.
var Metadata = resources.Metadata{
	Name: "mysql", Version: "1.0", API: "1.0",
	Short: "Manages a MariaDB or MySQL server",
	Long: "Runs one server: starts it and waits until it answers, watches its process, asks it with a real query, and shuts it down cleanly. " +
		"As a promotable clone (with notify=true) of MariaDB it also manages replication by GTID: only an instance that is shown to hold everything " +
		"confirmed to clients is promoted, and a former primary with data of its own is kept out.",
	Parameters: []resources.Parameter{
		{Name: "binary", Type: resources.ParamString, Short: "Server program",
			Long: "The server program; left out, the first of /usr/sbin/mariadbd, /usr/libexec/mariadbd, /usr/sbin/mysqld and /usr/libexec/mysqld there is."},
		{Name: "client_binary", Type: resources.ParamString, Default: "mysql", Short: "Client program (not used)",
			Long: "Accepted for the sake of existing configurations: this agent speaks to the server itself."},
		{Name: "config", Type: resources.ParamString, Default: "/etc/mysql/my.cnf", Short: "Configuration file",
			Long: "The configuration file. Without one, the server's own defaults hold."},
		{Name: "datadir", Type: resources.ParamString, Default: "/var/lib/mysql", Unique: true, Short: "Data directory", Long: "The directory that holds the databases."},
		{Name: "user", Type: resources.ParamString, Default: "mysql", Short: "User the server runs as", Long: "The user the server runs as."},
		{Name: "group", Type: resources.ParamString, Default: "mysql", Short: "Group of the server's files", Long: "The group of the directories that are made for log, pid file and socket."},
		{Name: "log", Type: resources.ParamString, Default: "/var/log/mysql/error.log", Short: "Error log", Long: "The error log of the server."},
		{Name: "pid", Type: resources.ParamString, Default: "/run/mysqld/mysqld.pid", Unique: true, Short: "Pid file", Long: "The pid file of the server."},
		{Name: "socket", Type: resources.ParamString, Default: "/run/mysqld/mysqld.sock", Unique: true, Short: "Socket", Long: "The socket the server answers on."},
		{Name: "test_table", Type: resources.ParamString, Default: "mysql.user", Short: "Table to read", Long: "The table that monitors of check level 10 and more read."},
		{Name: "test_user", Type: resources.ParamString, Default: "root", Short: "User of the agent",
			Long: "The database user the agent comes as, through the socket; as a promotable clone it needs all privileges."},
		{Name: "test_passwd", Type: resources.ParamString, Private: true, Short: "Password of the agent's user", Long: "The password of test_user; none with authentication by socket."},
		{Name: "enable_creation", Type: resources.ParamBoolean, Default: "false", Short: "Create an empty database",
			Long: "Whether to create the system tables if the data directory is empty."},
		{Name: "additional_parameters", Type: resources.ParamString, Short: "Further options of the server", Long: "Further options of the server, separated by blanks; quotes keep blanks. They outweigh the agent's."},
		{Name: "replication_user", Type: resources.ParamString, Default: "repl", Short: "Replication user",
			Long: "The user replicas come as. The agent creates it on every instance and keeps its password."},
		{Name: "replication_passwd", Type: resources.ParamString, Private: true, Short: "Password of the replication user", Long: "The password of replication_user."},
		{Name: "replication_port", Type: resources.ParamInteger, Default: "3306", Short: "Port of the instances", Long: "The TCP port the instances answer each other on."},
		{Name: "replication_require_ssl", Type: resources.ParamBoolean, Default: "false", Short: "Replicate by TLS", Long: "Whether replicas insist on TLS."},
		{Name: "replication_master_ssl_ca", Type: resources.ParamString, Short: "CA of the primary", Long: "CA certificate the primary's must be signed by."},
		{Name: "replication_master_ssl_cert", Type: resources.ParamString, Short: "Certificate of the replica", Long: "Certificate the replica shows."},
		{Name: "replication_master_ssl_key", Type: resources.ParamString, Short: "Key of the replica", Long: "Key of that certificate."},
		{Name: "semi_sync", Type: resources.ParamBoolean, Default: "true", Short: "Confirm after a replica has it",
			Long: "Whether the primary confirms a transaction only when a replica has it too. While no replica can, it goes on alone and says so; " +
				"without this, or alone, no replica takes over from a dead primary unless accept_data_loss is set."},
		{Name: "accept_data_loss", Type: resources.ParamBoolean, Default: "false", Short: "Promote without proof",
			Long: "Whether an instance may be promoted although transactions that were confirmed to clients may be missing from it."},
		{Name: "max_slave_lag", Type: resources.ParamInteger, Default: "3600", Short: "Lag that keeps readers away, in seconds",
			Long: "A replica that lags further behind, in seconds, loses the attribute that lets clients read from it."},
		{Name: "evict_outdated_slaves", Type: resources.ParamBoolean, Default: "false", Short: "Fail a replica that lags", Long: "Whether the monitor of a replica that lags further fails."},
		{Name: "reader_attribute", Type: resources.ParamString, Default: "readable", Unique: true, Short: "Attribute for readers",
			Long: "The node attribute that is 1 where clients may read."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "120s"},
		{Name: "stop", Timeout: "120s"},
		{Name: "status", Timeout: "60s"},
		{Name: "monitor", Timeout: "30s", Interval: "20s", Depth: "0"},
		{Name: "monitor", Timeout: "30s", Interval: "10s", Role: "Master", Depth: "0"},
		{Name: "monitor", Timeout: "30s", Interval: "11s", Role: "Slave", Depth: "0"},
		{Name: "promote", Timeout: "120s"},
		{Name: "demote", Timeout: "120s"},
		{Name: "notify", Timeout: "90s"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "5s"},
	},
}
