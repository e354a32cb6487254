"""The federation domain: with which servers of others mail is exchanged, and by what.

models       the table, and the schemas            words       what each scope says
layers       what is in force where several do     service     the rules of changing it
endpoints    HTTP                                  peers       what nodes say of their traffic with others
"""
