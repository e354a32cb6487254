"""Everything that can be set on a fleet or a node, by name: who decides it, what is so, and changing it.

endpoints ──▶ service ──▶ catalogue     the names: policy, Ansible, or not there
                 ├──────▶ values        from text to what policy holds, and back
                 └──────▶ ports         where ports are moved at run time
"""
