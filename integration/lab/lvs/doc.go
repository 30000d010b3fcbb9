// Package lvs proves load balancing on real kernels: two directors and two web
// servers in one cluster, the files of conf/examples/lvs-* as they stand, and HTTP
// from a client that is no member of it. Directors lose their power under load, web
// servers die, hang and lie, systoled is killed, the configuration is loaded a thousand
// times. Configurations of keepalived, ldirectord, ipvsadm and Heartbeat in testdata are
// imported, and must serve. "make lab RUN=lvs" runs it and prints what it measured.
//
// SYSTOLE_LAB_DETECT is the daemons' detect-within (1s), SYSTOLE_LAB_FULL=1 makes the
// long counts of requests.
package lvs
