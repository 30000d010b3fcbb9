/sbin/ipvsadm -C
/sbin/ipvsadm --set 900 120 300
ipvsadm --add-service --tcp-service www.example.org:http --scheduler rr
ipvsadm --add-service --tcp-service 192.0.2.10:http --scheduler=rr --persistent
ipvsadm --add-server -t 192.0.2.10:80 --real-server 10.0.0.11 --masquerading --weight 5
ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m
ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 7
ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.11:80
ipvsadm -A -t 192.0.2.10:80 -s wlc
ipvsadm -A -t 192.0.2.10:21 -s frobnicate
ipvsadm -D -t 192.0.2.10:99
ipvsadm --start-daemon master --mcast-interface eth1 --syncid 3 --mcast-group 224.0.0.90
ipvsadm --zero
ipvsadm -A -q 7
