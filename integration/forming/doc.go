// Package forming tests the life of a cluster as an administrator lives it: the
// built programs on three nodes made of namespaces are formed, rekeyed, left,
// joined, lost, recovered and restored, by the commands of the manual.
package forming
