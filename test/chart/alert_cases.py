# SPDX-License-Identifier: Apache-2.0
"""What each alert is about, in promtool's notation: series with one value a minute from 0m on ("stale": not there any
more), and for which labels it fires when. The labels of the alert itself (severity) are added by the test."""
CONTROLLER = 'namespace="metallb-system",pod="metallb-controller-{}",instance="{}:9120"'
SPEAKER = 'namespace="metallb-system",pod="metallb-speaker-{}",instance="{}:9120"'
NAMESPACE = {"namespace": "metallb-system"}


def controller(name, text, values, *labels):
    return series(text, CONTROLLER.format(name, name), values, *labels)


def speaker(name, text, values, *labels):
    return series(text, SPEAKER.format(name, name), values, *labels)


def series(name, target, values, *labels):
    return {"series": f"{name}{{{','.join([target, *labels])}}}", "values": values}


def pool(metric, values, name="web"):
    return controller("a", f"metallb_allocator_{metric}", values, f'pool="{name}"')


def announced(node, service, ip, values):
    return speaker(node, "metallb_speaker_announced", values, f'service="{service}"', 'protocol="layer2"', f'node="{node}"',
                   f'ip="{ip}"')


def verdicts(node, **values):
    """stentor_speaker_services of a speaker, by reason; those that are not named are 0."""
    reasons = {"announced", "notOwner", "noMatchingAdvertisement", "noServingEndpoint", "noIP", "ipNotAllowed",
               "interfaceMissing"}
    return [speaker(node, "stentor_speaker_services", values.get(reason, "0x30"), f'reason="{reason}"')
            for reason in sorted(reasons | values.keys())]


def of(component, name, **labels):
    return {**NAMESPACE, "pod": f"metallb-{component}-{name}", "instance": f"{name}:9120", **labels}


def daemonset(count, values, name="metallb-speaker"):
    """As kube-state-metrics tells it."""
    return series(f"kube_daemonset_status_{count}", 'namespace="metallb-system",job="state"', values, f'daemonset="{name}"')


OF_DAEMONSET = {**NAMESPACE, "job": "state", "daemonset": "metallb-speaker"}
LEADER = 'name="stentor-controller"'
IP = "192.0.2.10"
OF_POOL = of("controller", "a", pool="web")


def move(node_a, node_b, service="default/web", ip=IP):
    """An address that two nodes announce in turn."""
    return [announced("a", service, ip, node_a), announced("b", service, ip, node_b)]


# alert: {what is shown: (series, {minute: [labels for which it fires]})}
CASES = {
    "MetalLBStaleConfig": {
        "fires after a minute, and clears": (
            [speaker("a", "metallb_k8s_client_config_stale_bool", "0 1x4 0x3"),
             speaker("b", "metallb_k8s_client_config_stale_bool", "0x9")],
            {0: [], 1: [], 2: [of("speaker", "a")], 5: [of("speaker", "a")], 6: []}),
        "not for what is mended at once": (
            [speaker("a", "metallb_k8s_client_config_stale_bool", "0 1 0x8")], {1: [], 2: [], 3: []}),
    },
    "MetalLBConfigNotLoaded": {
        "fires for a speaker, and clears": (
            [speaker("a", "metallb_k8s_client_config_loaded_bool", "0x4 1x4")],
            {0: [], 1: [of("speaker", "a")], 4: [of("speaker", "a")], 5: []}),
        "fires for the controller that leads": (
            [controller("a", "metallb_k8s_client_config_loaded_bool", "0x9"),
             controller("a", "leader_election_master_status", "1x9", LEADER)], {3: [of("controller", "a")]}),
        "not for a controller that does not lead, as one that serves webhooks only": (
            [controller("b", "metallb_k8s_client_config_loaded_bool", "0x9"),
             controller("b", "leader_election_master_status", "0x9", LEADER)], {3: []}),
    },
    "MetalLBAddressPoolExhausted": {
        "fires when the last address is given out, and clears": (
            [pool("addresses_in_use_total", "9 10x4 9x4"), pool("addresses_total", "10x9")],
            {1: [], 2: [OF_POOL], 5: [OF_POOL], 6: []}),
        "not while one is left": (
            [pool("addresses_in_use_total", "9x9"), pool("addresses_total", "10x9")], {5: []}),
    },
    **{f"MetalLBAddressPoolUsage{percent}Percent": {
        "fires above the threshold, and clears": (
            [pool("addresses_in_use_total", f"{percent} {percent + 1}x4 {percent}x4"), pool("addresses_total", "100x9")],
            {1: [], 2: [OF_POOL], 5: [OF_POOL], 6: []}),
        "not at it": ([pool("addresses_in_use_total", f"{percent}x9"), pool("addresses_total", "100x9")], {5: []}),
    } for percent in (75, 85, 95)},
    "StentorPoolFamilyNearlyFull": {
        "fires for IPv4 beside many IPv6 addresses, and clears": (
            [pool("ipv4_addresses_in_use_total", "8 9x4 8x4"), pool("ipv4_addresses_total", "10x9"),
             pool("ipv6_addresses_in_use_total", "9x9"), pool("ipv6_addresses_total", "65536x9")],
            {1: [], 2: [{**OF_POOL, "family": "IPv4"}], 5: [{**OF_POOL, "family": "IPv4"}], 6: []}),
        "fires for IPv6": (
            [pool("ipv4_addresses_in_use_total", "1x9"), pool("ipv4_addresses_total", "10x9"),
             pool("ipv6_addresses_in_use_total", "4x9"), pool("ipv6_addresses_total", "4x9")],
            {2: [{**OF_POOL, "family": "IPv6"}]}),
        "not for a pool of one family, of which MetalLB's alerts tell": (
            [pool("ipv4_addresses_in_use_total", "10x9"), pool("ipv4_addresses_total", "10x9"),
             pool("ipv6_addresses_in_use_total", "0x9"), pool("ipv6_addresses_total", "0x9")], {5: []}),
    },
    "StentorNoAnnouncer": {
        "fires when nobody announces one of two Services, and clears": (
            [*verdicts("a", announced="2x2 1x5 2x9", notOwner="0x2 1x5 0x9"), *verdicts("b", notOwner="2x16"),
             announced("a", "default/web", IP, "1x16"), announced("a", "default/more", "192.0.2.11", "1x2 stale _x4 1x9")],
            {2: [], 4: [], 5: [NAMESPACE], 7: [NAMESPACE], 8: [], 12: []}),
        "fires when the only Service is announced by nobody": (
            [*verdicts("a", noMatchingAdvertisement="1x9"), *verdicts("b", noMatchingAdvertisement="1x9")],
            {1: [], 2: [NAMESPACE], 9: [NAMESPACE]}),
        "fires when an address is withheld, for then its speaker does not show it": (
            [*verdicts("a", announced="1x9"), *verdicts("b", notOwner="1x9")], {2: [NAMESPACE]}),
        "fires when the winner has no interface": (
            [*verdicts("a", interfaceMissing="1x9"), *verdicts("b", notOwner="1x9")], {2: [NAMESPACE]}),
        "not when all are announced, in two families and by several nodes": (
            [*verdicts("a", announced="1x9", notOwner="1x9"), *verdicts("b", announced="1x9", notOwner="1x9"),
             announced("a", "default/web", IP, "1x9"), announced("a", "default/web", "2001:db8::10", "1x9"),
             announced("b", "default/more", "192.0.2.11", "1x9")], {5: []}),
        "not for Services without endpoint, without address or of another's pool": (
            [*verdicts("a", noServingEndpoint="3x9", noIP="2x9", ipNotAllowed="1x9"),
             *verdicts("b", noServingEndpoint="3x9", noIP="2x9", ipNotAllowed="1x9")], {5: []}),
        "not for one of three speakers that is behind": (
            [*verdicts("a", announced="1x9"), *verdicts("b", notOwner="1x9"), *verdicts("c", notOwner="5x9"),
             announced("a", "default/web", IP, "1x9")], {5: []}),
        "not for a fail-over": (
            [*verdicts("a", announced="1x3 stale"), *verdicts("b", notOwner="1x4 0x9", announced="0x4 1x9"),
             announced("a", "default/web", IP, "1x3 stale"), announced("b", "default/web", IP, "_x5 1x9")],
            {3: [], 4: [], 5: [], 9: []}),
    },
    "StentorTwoAnnouncers": {
        "fires when two nodes go on announcing, and clears": (
            move("1x16", "_x3 1x4 stale"), {4: [], 5: [{"ip": IP}], 7: [{"ip": IP}], 8: []}),
        "not for a fail-over, seen late": (move("1x3 stale", "_x2 1x9"), {3: [], 4: [], 5: [], 9: []}),
        "not for two Services that share an address on one node": (
            [announced("a", "default/web", IP, "1x9"), announced("a", "default/dns", IP, "1x9")], {5: []}),
    },
    "StentorAddressConflict": {
        "fires once for all speakers that see it, and clears": (
            [speaker(node, "stentor_address_conflict", "_ 1x4 stale", f'ip="{IP}"', 'mac="02:00:00:00:00:09"',
                     'withheld="false"') for node in ("a", "b")],
            {1: [], 2: [{"ip": IP, "mac": "02:00:00:00:00:09", "withheld": "false"}],
             5: [{"ip": IP, "mac": "02:00:00:00:00:09", "withheld": "false"}], 6: []}),
        "not where it is over at once": (
            [speaker("a", "stentor_address_conflict", "_ 1 stale", f'ip="{IP}"', 'mac="02:00:00:00:00:09"',
                     'withheld="true"')], {1: [], 2: [], 3: []}),
    },
    "StentorAddressFlapping": {
        "fires after the sixth move within half an hour, and clears": (
            move("1x1 " + "stale 1 " * 3 + "1x60", "_x2 " + "1 stale " * 3),
            {6: [], 7: [{"ip": IP}], 30: [{"ip": IP}], 33: []}),
        "fires for slow moves too": (
            move("1x3 stale _x3 1x3 stale _x3 1x3 stale _x3 1x9", "_x4 1x3 stale _x3 1x3 stale _x3 1x3 stale"),
            {16: [], 24: [{"ip": IP}]}),
        "not for a fail-over and the way back": (
            move("1x3 stale _x3 1x30", "_x4 1x3 stale"), {4: [], 8: [], 20: []}),
        "not for a speaker whose metrics come and go": (
            [announced("a", "default/web", IP, "1 stale " * 10)], {19: []}),
    },
    "StentorSpeakerMissing": {
        "fires for a speaker that is dead, and clears": (
            [speaker("a", "up", "1x20"), speaker("b", "up", "1 0x7 1x9")],
            {5: [], 6: [of("speaker", "b")], 8: [of("speaker", "b")], 9: []}),
        "fires when there is no speaker at all, and clears": (
            [controller("a", "up", "1x20"), speaker("a", "up", "_x8 1x9")], {4: [], 5: [NAMESPACE], 7: [NAMESPACE], 8: []}),
        "not during a rollout": (
            [speaker("a", "up", "1x20"), speaker("b", "up", "1x2 0x3 stale"), speaker("c", "up", "_x5 1x9")],
            {5: [], 6: [], 9: []}),
        "not for pods of others": (
            [speaker("a", "up", "1x20"), controller("a", "up", "0x20"),
             series("up", 'namespace="default",pod="metallb-speaker-x",instance="x"', "0x20")], {9: []}),
    },
    "StentorNodeWithoutSpeaker": {
        "fires when a pod never started, and clears": (
            [daemonset("desired_number_scheduled", "2x20"), daemonset("number_available", "2x1 1x7 2x9")],
            {6: [], 7: [OF_DAEMONSET], 9: [OF_DAEMONSET], 10: []}),
        "not without kube-state-metrics, nor for other DaemonSets": (
            [daemonset("desired_number_scheduled", "2x20", "other"), daemonset("number_available", "1x20", "other")],
            {9: []}),
    },
    "StentorSpeakerIsolated": {
        "fires for all that miss somebody who runs, and clears": (
            [speaker("a", "stentor_membership_alive_members", "3 2x4 3x9"),
             speaker("b", "stentor_membership_alive_members", "3 2x4 3x9"),
             speaker("c", "stentor_membership_alive_members", "3 1x4 3x9")],
            {2: [], 3: [of("speaker", one) for one in "abc"], 5: [of("speaker", one) for one in "abc"], 6: []}),
        "not for a speaker that is gone": (
            [speaker("a", "stentor_membership_alive_members", "3 2x9"),
             speaker("b", "stentor_membership_alive_members", "3 2x9"),
             speaker("c", "stentor_membership_alive_members", "3 3 stale")], {3: [], 9: []}),
    },
    "StentorNotOneLeader": {
        "fires when nobody leads, and clears": (
            [controller("a", "leader_election_master_status", "1 0x4 0x9", LEADER),
             controller("b", "leader_election_master_status", "0 0x4 1x9", LEADER)],
            {2: [], 3: [NAMESPACE], 5: [NAMESPACE], 6: []}),
        "fires when there is no controller, and clears": (
            [speaker("a", "up", "1x20"), controller("a", "leader_election_master_status", "_x4 1x9", LEADER)],
            {1: [], 2: [{**NAMESPACE, "name": "stentor-controller"}], 3: [{**NAMESPACE, "name": "stentor-controller"}], 4: []}),
        "fires when two lead": (
            [controller(one, "leader_election_master_status", "1x9", LEADER) for one in "ab"], {2: [NAMESPACE]}),
        "not when one takes over from another": (
            [controller("a", "leader_election_master_status", "1x3 stale", LEADER),
             controller("b", "leader_election_master_status", "0x4 1x9", LEADER)], {3: [], 4: [], 5: [], 9: []}),
    },
    "StentorNodeTrap": {
        "fires, and clears": (
            [speaker("a", "stentor_node_trap", "0 1x6 0x9", 'trap="ipvsWithoutStrictARP"'),
             speaker("a", "stentor_node_trap", "0x16", 'trap="addressOnInterface"')],
            {5: [], 6: [of("speaker", "a", trap="ipvsWithoutStrictARP")], 7: [of("speaker", "a", trap="ipvsWithoutStrictARP")],
             8: []}),
        "not for pools outside of all subnets, which may be meant so": (
            [speaker("a", "stentor_node_trap", "1x16", 'trap="poolOutsideSubnets"')], {9: []}),
    },
}
