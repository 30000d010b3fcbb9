<?php
// WordPress of the site, on every web server: /srv/wordpress/wp-content/mu-plugins/site.php
// All web servers must be alike: nothing changes the files but the administrator.
define('DISALLOW_FILE_MODS', true);
define('DISABLE_WP_CRON', true); // wordpress-cron.timer asks for wp-cron.php
// A write whose answer was lost may have been done, and WordPress would do it again on a
// new connection: the visitor gets an error instead, and one post, not two.
(function () { $this->reconnect_retries = 0; })->call($GLOBALS['wpdb']);
