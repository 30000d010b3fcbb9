// Package lvstools holds no code, only the proof on real kernels of the tools
// around LVS: that the ipvsadm personality says what ipvsadm says, that crm lvs
// doctor finds what breaks a site, and what the real server agent needs a
// kernel for. "make lab RUN=lvstools" runs it.
package lvstools
