<?php
// WordPress of the site, on every web server: /srv/wordpress/wp-config.php
// The password and the keys are in a file of their own, which only PHP can read.
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_HOST', '10.77.0.101');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
require '/etc/systole/site/wp-secrets.php';

// One address for all, whichever machine answers.
define('WP_HOME', 'http://10.77.0.100');
define('WP_SITEURL', 'http://10.77.0.100');
// All web servers must be alike: nothing changes the files but the administrator.
define('DISALLOW_FILE_MODS', true);
define('DISABLE_WP_CRON', true); // a timer runs wp-cron.php
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
