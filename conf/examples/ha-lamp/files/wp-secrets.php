<?php
// Secrets of the site, on every web server: /etc/systole/site/wp-secrets.php
// Put in your own: the keys by `openssl rand -base64 48`, all web servers the same.
define('DB_PASSWORD', 'written-in-a-secret-file');
define('AUTH_KEY', 'change me 1');
define('SECURE_AUTH_KEY', 'change me 2');
define('LOGGED_IN_KEY', 'change me 3');
define('NONCE_KEY', 'change me 4');
define('AUTH_SALT', 'change me 5');
define('SECURE_AUTH_SALT', 'change me 6');
define('LOGGED_IN_SALT', 'change me 7');
define('NONCE_SALT', 'change me 8');
